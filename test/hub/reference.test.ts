import { OptionError } from '../../src/errors.ts';
import { isHubReference, isSafePath, parseReference, showReference } from '../../src/hub/reference.ts';

describe('a name of a model', () => {
  it.each([
    ['facebook/DiT-XL-2-256', 'facebook/DiT-XL-2-256', 'main', ''],
    ['a/b@v1.0', 'a/b', 'v1.0', ''],
    ['a/b@refs/pr/1', 'a/b', 'refs/pr/1', ''],
    ['hf://a/b', 'a/b', 'main', ''],
    ['hf://a/b/', 'a/b', 'main', ''],
    ['hf://models/a/b@v2/vae', 'a/b', 'v2', 'vae'],
    ['hf://a/b/folder/file.pt', 'a/b', 'main', 'folder/file.pt'],
  ])('%s', (name, repo, revision, path) => {
    expect(isHubReference(name)).toBe(true);
    expect(parseReference(name)).toEqual({ repo, revision, path });
  });

  it('takes a revision beside it, and refuses two that differ', () => {
    expect(parseReference('a/b', 'v1').revision).toBe('v1');
    expect(parseReference('a/b@v1', 'v1').revision).toBe('v1');
    expect(() => parseReference('a/b@v1', 'v2')).toThrow(OptionError);
  });

  it('is shown as it is written', () => {
    expect(showReference(parseReference('hf://a/b/vae'))).toBe('a/b/vae');
    expect(showReference(parseReference('a/b@v1'))).toBe('a/b@v1');
  });

  it.each(['dit-emoji', '/a/b', './b', '../b', 'a/b/c', 'a\\b', 'a b/c', ''])('is none: %j', (name) => {
    expect(isHubReference(name)).toBe(false);
    expect(() => parseReference(name)).toThrow(OptionError);
  });

  it.each([
    'a--b/c', // stands for a slash in the cache
    'a/..',
    'a/b@../../x',
    'a/b@x//y',
    'hf://a/b/../../../etc/passwd',
    'hf://a/b/x\\..\\y',
    'hf://a',
  ])('never leads out of the cache: %s', (name) => {
    expect(() => parseReference(name)).toThrow(OptionError);
  });
});

it.each(['', '/a', 'a/', 'a//b', '.', 'a/../b', 'a/./b', 'C:/a', 'a\\b', 'a\0b', 'a\nb'])(
  '%j is no safe path',
  (path) => {
    expect(isSafePath(path)).toBe(false);
  },
);
