import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import ts from 'typescript';

export const ROOT = join(__dirname, '../..');

export interface Import {
  /** As written: a relative path or a package. */
  readonly specifier: string;
  /** `type` imports are erased; `dynamic` ones load when they are reached. */
  readonly kind: 'static' | 'type' | 'dynamic';
}

/** Paths of the TypeScript files under a folder of the project, with `/`, relative to its root. */
export function sourceFiles(folder: string): string[] {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

export function parseFile(file: string): ts.SourceFile {
  return parseText(file, readFileSync(join(ROOT, file), 'utf8'));
}

export function parseText(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** Everything that a file imports or re-exports; an `import()` of a computed path is left out. */
export function importsOf(source: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  visit(source, (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      const isType = ts.isImportDeclaration(node)
        ? node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
        : node.isTypeOnly;
      imports.push({ specifier: textOf(node.moduleSpecifier), kind: isType ? 'type' : 'static' });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      imports.push({ specifier: textOf(node.argument.literal), kind: 'type' });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (argument && ts.isStringLiteralLike(argument)) imports.push({ specifier: argument.text, kind: 'dynamic' });
    }
  });
  return imports;
}

export type Platform = 'node' | 'browser';
export const PLATFORMS: readonly Platform[] = ['node', 'browser'];

/** The file that an import of `file` names there, a relative one or one with # ("imports" of package.json); undefined for packages. */
export function resolveImport(file: string, specifier: string, platform: Platform = 'node'): string | undefined {
  if (specifier.startsWith('#')) return `${specifier.slice(1)}.${platform}.ts`;
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
}

/** All names that a file uses, comments and strings apart. */
export function identifiersOf(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  visit(source, (node) => {
    if (ts.isIdentifier(node)) names.add(node.text);
  });
  return names;
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function textOf(node: ts.Node): string {
  return ts.isStringLiteralLike(node) ? node.text : '';
}
