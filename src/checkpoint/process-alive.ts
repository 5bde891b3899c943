/** Of a pid, a signed 32-bit number on every system. */
const MOST = 2 ** 31 - 1;

/** Whether a process of this machine runs. One that may not be signalled is alive, too; a number that is no id is not. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1 || pid > MOST) return false; // 0 and less would be a whole group
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
