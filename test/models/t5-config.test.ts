import { CheckpointError } from '../../src/errors.ts';
import { assertEncoderWidth } from '../../src/models/t5-checkpoint.ts';
import { parseT5EncoderConfig, T5_XXL } from '../../src/models/t5-config.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import { elementCount } from '../../src/shape.ts';

describe('T5 v1.1-XXL', () => {
  const shapes = T5Encoder.parameterShapes(T5_XXL);

  it('has 4,762,310,656 parameters in the 219 tensors of its encoder', () => {
    expect([...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0)).toBe(4_762_310_656);
    expect(shapes.size).toBe(219);
  });

  it('has one table of relative biases, in its first layer', () => {
    expect([...shapes.keys()].filter((name) => name.includes('relative'))).toEqual([
      'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
    ]);
  });
});

describe('the configuration of a T5 encoder', () => {
  it('is read as it was written', () => {
    expect(parseT5EncoderConfig('manifest.json', JSON.parse(JSON.stringify(T5_XXL)))).toEqual(T5_XXL);
  });

  it.each([
    ['depth', 1e8],
    ['depth', 0],
    ['numHeads', 1.5],
    ['numBuckets', 7],
    ['numBuckets', 2],
    ['maxDistance', 8],
    ['normEps', 0],
    ['hiddenSize', undefined],
  ])('is refused where %s is %p', (field, value) => {
    const parse = () => parseT5EncoderConfig('manifest.json', { ...T5_XXL, [field]: value });
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(new RegExp(`manifest.json: [\\s\\S]*${field}`));
  });
});

describe('assertEncoderWidth', () => {
  it('takes the width that the model was trained with, and says what to do about another', () => {
    assertEncoderWidth({ name: 't5', config: T5_XXL }, 4096);
    expect(() => assertEncoderWidth({ name: 't5', config: { ...T5_XXL, hiddenSize: 2048 } }, 4096)).toThrow(
      /t5: expected a text encoder of width 4096, .* got width 2048; give the text_encoder of the model's own folder/,
    );
  });
});
