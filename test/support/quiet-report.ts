// A report of a stream that nobody listens to.
import type { CdcReport } from '../../src/cdc/report.ts';

const quiet = async () => {};

export const quietReport: CdcReport = {
  batch: () => {},
  conflict: quiet,
  position: () => {},
  consistent: quiet,
  note: quiet,
  noteOnce: quiet,
  waits: quiet,
  changed: quiet,
  objects: quiet,
  gone: quiet,
};
