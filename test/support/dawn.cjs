const { join, dirname } = require('node:path');

/**
 * Stands for npm `webgpu` under jest, which loads CommonJS while that package is an ES module; both load this add-on.
 * Test files share it, and what it made for one of them must outlive that file's garbage collection: Dawn ends the
 * process when its instance goes before its devices.
 */
const platform = `${process.platform}-${process.platform === 'darwin' ? 'universal' : process.arch}`;
const dawn = require(join(dirname(require.resolve('webgpu/package.json')), 'dist', platform, 'dawn.node'));
dawn.instances ??= [];

module.exports = {
  globals: dawn.globals,
  create: (options) => {
    const instance = dawn.create(options);
    dawn.instances.push(instance);
    return instance;
  },
};
