import type { Page } from 'playwright-core';
import { describeInBrowser } from '../browser/browser-tests.ts';
import { ServedPage } from '../support/served-page.ts';

let served: ServedPage;

/** WCAG 2.2, 1.4.3: of text; of larger text and 1.4.11 of what must be seen it is 3. */
const ENOUGH = 4.5;

describeInBrowser('how the page looks', () => {
  served = ServedPage.forTests();

  afterEach(() => expect(served.takeComplaints()).toEqual([]));

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    it('every text stands out from its ground', async () => {
      const page = await served.open({ colorScheme });
      await page.locator('#problem').evaluate((problem: HTMLElement) => {
        problem.hidden = false;
        problem.textContent = 'What is wrong and what to do.';
      });
      const texts = await contrasts(page);
      expect(texts.length).toBeGreaterThan(20);
      expect(texts.filter(({ contrast }) => contrast < ENOUGH)).toEqual([]);
      await page.context().close();
    });

    it.each([360, 768, 1280])('fits a width of %i px', async (width) => {
      const page = await served.open({ colorScheme, viewport: { width, height: 700 } });
      for (const cache of ['none', 'delta-dit', 'taylorseer']) {
        await page.getByLabel('Cache', { exact: true }).selectOption(cache);
        const sizes = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          document.documentElement.clientWidth,
        ]);
        expect(sizes).toEqual([width, width]);
      }
      await page.context().close();
    });
  });

  it('has a name for every control', async () => {
    const page = await served.open();
    for (const model of ['dit-emoji', 'pixart-emoji', 'pixart-emoji-lcm']) {
      await page.getByLabel('Model').selectOption(model);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLInputElement>('input, select, button')]
          .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent?.trim())
          .map(({ id }) => id),
      );
      expect(nameless).toEqual([]);
    }
    await page.context().close();
  });
});

/** Of each visible element with text of its own: the contrast of the text to what is under it. */
function contrasts(page: Page): Promise<{ text: string; contrast: number }[]> {
  return page.evaluate(() => {
    const channels = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (colour: string) => {
      const [red = 0, green = 0, blue = 0] = channels(colour).map((value) => {
        const unit = value / 255;
        return unit <= 0.04045 ? unit / 12.92 : ((unit + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const groundOf = (element: Element | null): string => {
      if (!element) return 'rgb(255, 255, 255)';
      const { backgroundColor } = getComputedStyle(element);
      return channels(backgroundColor)[3] === 0 ? groundOf(element.parentElement) : backgroundColor;
    };
    const hasText = (element: Element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
    return [...document.body.querySelectorAll('*')]
      .filter((element) => (hasText(element) || element.matches('input')) && element.checkVisibility())
      .map((element) => {
        const [one, other] = [getComputedStyle(element).color, groundOf(element)].map(luminance);
        const [light, dark] = [Math.max(one ?? 0, other ?? 0), Math.min(one ?? 0, other ?? 0)];
        return { text: element.textContent?.trim().slice(0, 40) ?? '', contrast: (light + 0.05) / (dark + 0.05) };
      });
  });
}
