/** Tags whose text is no part of a document's (Beautiful Soup's string containers). */
const APART = new Set(['rt', 'rp', 'style', 'script', 'template']);
/** Tags in which white space is kept as it is. */
const PRESERVED = new Set(['pre', 'textarea']);
/** Tags without content, which close themselves. */
const VOID = new Set(
  (
    'area base br col embed hr img input keygen link menuitem meta param source track wbr ' +
    'basefont bgsound command frame image isindex nextid spacer'
  ).split(' '),
);

/**
 * The text of a document out of what a parser finds in it, as Beautiful Soup's tree would give it: text inside
 * `script`, `style`, `template` and ruby annotations is left out, white space between tags is one space or newline.
 */
export class DocumentText {
  private text = '';
  /** What was found since the last tag. */
  private run: string[] = [];
  private readonly openTags: string[] = [];
  /** Void tags that were closed already: their end tags are passed over. */
  private readonly closedVoid: string[] = [];

  data(text: string): void {
    this.run.push(text);
  }

  /** The content of a CDATA section, which is text everywhere. */
  characterData(text: string): void {
    this.flush();
    this.text += this.spaced(text);
  }

  /** Ends a run of text: at a tag, a comment or a declaration. */
  flush(): void {
    if (this.run.length > 0 && !this.openTags.some((name) => APART.has(name))) {
      this.text += this.spaced(this.run.join(''));
    }
    this.run = [];
  }

  open(name: string): void {
    this.flush();
    this.openTags.push(name);
  }

  openUnlessVoid(name: string): void {
    this.open(name);
    if (!VOID.has(name)) return;
    this.close(name);
    this.closedVoid.push(name);
  }

  /** With everything inside that is still open; nothing when no such tag is open. */
  close(name: string): void {
    this.flush();
    const at = this.openTags.lastIndexOf(name);
    if (at >= 0) this.openTags.length = at;
  }

  /** By an end tag. */
  closeExplicitly(name: string): void {
    const at = this.closedVoid.indexOf(name);
    if (at >= 0) this.closedVoid.splice(at, 1);
    else this.close(name);
  }

  finish(): string {
    this.flush();
    return this.text;
  }

  private spaced(text: string): string {
    if (/[^ \n\t\f\r]/u.test(text) || this.openTags.some((name) => PRESERVED.has(name))) return text;
    return text.includes('\n') ? '\n' : ' ';
  }
}
