/** What vite.config.ts puts into the page when it builds it. */

/** Of the delta-dit that the page is made of. */
declare const DELTA_DIT_VERSION: string;

/** Of the checkpoints that are served with the page, what their manifests say; by name. */
declare const MANIFESTS: Readonly<
  Record<
    string,
    {
      readonly transformer: { readonly config: { readonly depth: number } };
      readonly scheduler: Readonly<Record<string, unknown>>;
      readonly labels?: readonly string[];
      readonly defaults: { readonly numInferenceSteps: number; readonly guidanceScale: number };
    }
  >
>;
