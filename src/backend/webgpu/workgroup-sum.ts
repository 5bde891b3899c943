/** Invocations of the workgroups that add up: two subgroups of most GPUs, one of the widest. */
export const SUMMING = 64;

/** `workgroupSum(value)` in WGSL: the sum over a workgroup of `SUMMING`, told to each of its invocations. All of them call it. */
export const WORKGROUP_SUM = `
var<workgroup> partialSums : array<f32, ${SUMMING}>;

fn workgroupSum(value : f32) -> f32 {
  partialSums[localIndex] = value;
  for (var reach = ${SUMMING / 2}u; reach > 0u; reach = reach / 2u) {
    workgroupBarrier();
    if (localIndex < reach) {
      partialSums[localIndex] = partialSums[localIndex] + partialSums[localIndex + reach];
    }
  }
  workgroupBarrier();
  let sum = partialSums[0];
  workgroupBarrier();
  return sum;
}
`;
