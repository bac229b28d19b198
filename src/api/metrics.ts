// GET /metrics: what Prometheus reads. Mirrors and tables as the catalog knows them, and this process itself.
import type { Hono } from 'hono';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { CatalogMetrics, MirrorMetrics, TableMetrics } from '../catalog/metrics.ts';

export interface MetricsDeps {
  /** Asks the catalog; throws if it is away. */
  readonly read: () => Promise<CatalogMetrics>;
}

// A scrape is given up after ten seconds by default; what we know without the catalog should come before that.
const patienceMs = 5_000;

/** Adds GET /metrics. While the catalog is away it still tells of the process. */
export function addMetrics(app: Hono, deps: MetricsDeps): void {
  const process = new Registry();
  collectDefaultMetrics({ register: process });
  app.get('/metrics', async (context) => {
    // Of this scrape alone: a mirror that was dropped is gone from it.
    const registry = new Registry();
    const metrics = await withinPatience(deps.read()).catch(() => null);
    new Gauge({
      ...{ name: 'sluice_catalog_up', help: 'Whether the catalog answers.', registers: [registry] },
    }).set(metrics === null ? 0 : 1);
    if (metrics !== null) {
      for (const each of mirrorGauges) addMirrors(registry, each, metrics.mirrors);
      addStates(registry, metrics.mirrors);
      addTables(registry, metrics.tables);
      addLeftOut(registry, metrics.leftOut);
    }
    const text = await Registry.merge([process, registry]).metrics();
    return context.text(text, 200, { 'content-type': registry.contentType });
  });
}

async function withinPatience<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const impatience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the catalog does not answer')), patienceMs);
  });
  try {
    return await Promise.race([answer, impatience]);
  } finally {
    clearTimeout(timer);
  }
}

interface MirrorGauge {
  readonly name: string;
  readonly help: string;
  /** Null: there is nothing to tell, and no series. */
  readonly of: (mirror: MirrorMetrics) => number | null;
}

const mirrorGauges: readonly MirrorGauge[] = [
  {
    name: 'sluice_mirror_lag_bytes',
    help: "Log between what is durable on the target and the end of the source's log when it was last looked at. None is told where nobody follows now and nothing waited then.",
    of: (mirror) => mirror.lagBytes,
  },
  {
    name: 'sluice_mirror_lag_seconds',
    help: 'How long the oldest change that is not durable on the target has waited, at most; 0: none waits. Where nobody follows: since the target was last seen to have everything.',
    of: (mirror) => mirror.lagSeconds,
  },
  {
    name: 'sluice_mirror_lag_age_seconds',
    help: "How long ago the end of the source's log was looked at.",
    of: (mirror) => mirror.lagAge,
  },
  {
    name: 'sluice_mirror_commit_latency_seconds',
    help: "Of the last batch: from the source's commit to the target's, by the clocks of the source and of Sluice.",
    of: (mirror) => mirror.latencySeconds,
  },
  {
    name: 'sluice_mirror_slot_held_bytes',
    help: 'Log that the slot holds back on the source.',
    of: (mirror) => mirror.heldBytes,
  },
  {
    name: 'sluice_mirror_slot_bytes_until_lost',
    help: 'Log that may still be written before max_slot_wal_keep_size of the source takes the slot.',
    of: (mirror) => mirror.bytesUntilLost,
  },
  {
    name: 'sluice_mirror_slot_lost',
    help: 'Whether the source has removed log that the mirror needs.',
    of: (mirror) => (mirror.slotLost === null ? null : Number(mirror.slotLost)),
  },
  {
    name: 'sluice_mirror_in_trouble',
    help: 'Whether something is in the way: 1 is tried again by itself, 2 waits for a person.',
    of: (mirror) => ({ none: 0, retried: 1, waits: 2 })[mirror.trouble],
  },
  { name: 'sluice_mirror_tables', help: 'Tables of the mirror.', of: (mirror) => mirror.tables },
  { name: 'sluice_mirror_copied_rows', help: 'Rows of the initial copy.', of: (mirror) => mirror.rowsCopied },
  { name: 'sluice_mirror_copied_bytes', help: 'Bytes of the initial copy.', of: (mirror) => mirror.bytesCopied },
];

function addMirrors(registry: Registry, { name, help, of }: MirrorGauge, mirrors: readonly MirrorMetrics[]): void {
  const gauge = new Gauge({ name, help, labelNames: ['mirror'], registers: [registry] });
  for (const mirror of mirrors) {
    const value = of(mirror);
    if (value !== null) gauge.set({ mirror: mirror.mirror }, value);
  }
}

function addStates(registry: Registry, mirrors: readonly MirrorMetrics[]): void {
  const gauge = new Gauge({
    name: 'sluice_mirror_info',
    help: 'Always 1; the labels say between which peers the mirror is, and how it is now.',
    labelNames: ['mirror', 'source', 'target', 'kind', 'status', 'phase'],
    registers: [registry],
  });
  for (const { mirror, source, target, kind, status, phase } of mirrors) {
    gauge.set({ mirror, source, target, kind, status, phase }, 1);
  }
}

function addTables(registry: Registry, tables: readonly TableMetrics[]): void {
  const counter = (name: string, help: string, labels: readonly string[] = []) =>
    new Counter({ name, help, labelNames: ['mirror', 'table', ...labels], registers: [registry] });
  const changes = counter('sluice_table_changes_total', 'Changes that were applied.', ['change']);
  const bytes = counter('sluice_table_change_bytes_total', 'Bytes of those changes, as they came.');
  const conflicts = counter('sluice_table_conflicts_total', 'Changes that did not fit to the target.');
  for (const row of tables) {
    const { mirror, table } = row;
    for (const change of ['insert', 'update', 'delete', 'truncate'] as const) {
      changes.inc({ mirror, table, change }, row[`${change}s`]);
    }
    bytes.inc({ mirror, table }, row.bytes);
    conflicts.inc({ mirror, table }, row.conflicts);
  }
}

function addLeftOut(registry: Registry, leftOut: CatalogMetrics['leftOut']): void {
  const gauge = new Gauge({
    name: 'sluice_metrics_left_out',
    help: 'Mirrors and tables of which nothing is told, because there are more than SLUICE_METRICS_TABLES.',
    labelNames: ['what'],
    registers: [registry],
  });
  gauge.set({ what: 'mirrors' }, leftOut.mirrors);
  gauge.set({ what: 'tables' }, leftOut.tables);
}
