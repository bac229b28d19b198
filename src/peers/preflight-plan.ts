// Checks of a mirror's plan that need no more than the plan and who the two servers are. Pure.
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import type { PeerFacts } from './checks.ts';
import { type Finding, type MirrorPlan, ok, problem } from './preflight-finding.ts';

/** NAMEDATALEN - 1. https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
const maxNameBytes = 63;

/** Names, doubles, and a mirror that would feed itself. */
export function checkPlan(plan: MirrorPlan, source: PeerFacts, target: PeerFacts): readonly Finding[] {
  return [...checkNames(plan), ...checkDoubles(plan), ...checkCircle(plan, source, target)];
}

function checkNames(plan: MirrorPlan): readonly Finding[] {
  const check = 'names';
  const tables = plan.tables.flatMap(({ from, to }) => [from.schema, from.name, to.schema, to.name]);
  const names = [plan.name, plan.publication.name, plan.slot?.name ?? '', plan.target.metadataSchema, ...tables];
  const long = [...new Set(names.filter((name) => Buffer.byteLength(name) > maxNameBytes))];
  if (long.length > 0) {
    const hint =
      Buffer.byteLength(plan.name) <= maxNameBytes && (long[0] === plan.slot?.name || long[0] === plan.publication.name)
        ? 'Give the mirror a shorter name, from which those of slot and publication are made.'
        : 'PostgreSQL would cut it; use a shorter one.';
    const message = `name too long: "${long[0]}" has ${Buffer.byteLength(long[0] ?? '')} bytes, at most ${maxNameBytes} fit`;
    return [problem(check, 'name_too_long', { message, detail: `Names: ${long.join(', ')}.`, hint })];
  }
  if (plan.slot !== null && !/^[a-z0-9_]+$/.test(plan.slot.name)) {
    const message = `replication slot name "${plan.slot.name}" contains an invalid character`;
    const hint = 'Names of slots hold lower case letters, digits and underscores only. Give the mirror such a name.';
    return [problem(check, 'invalid_option', { message, hint })];
  }
  return [ok(check, 'all names fit')];
}

function checkDoubles(plan: MirrorPlan): readonly Finding[] {
  const check = 'mappings';
  if (plan.tables.length === 0) {
    const message = 'the mirror has no table';
    return [problem(check, 'undefined_table', { message, hint: 'Name tables, or schemas that hold some.' })];
  }
  const onto = doubles(plan.tables.map(({ to }) => to));
  const of = doubles(plan.tables.map(({ from }) => from));
  const findings: Finding[] = [];
  if (onto.length > 0) {
    const message = `two mappings go onto one target table: ${onto[0]}`;
    const detail = `Target tables: ${onto.join(', ')}.`;
    findings.push(problem(check, 'invalid_option', { message, detail, hint: 'Give each source table its own.' }));
  }
  if (of.length > 0) {
    const message = `a source table is mapped twice: ${of[0]}`;
    const detail = `Source tables: ${of.join(', ')}.`;
    findings.push(
      problem(check, 'invalid_option', { message, detail, hint: 'Make a second mirror for the second copy.' }),
    );
  }
  return findings.length > 0 ? findings : [ok(check, `${plan.tables.length} tables, each its own target`)];
}

function doubles(tables: readonly TableName[]): readonly string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const name of tables.map(showTable)) {
    if (seen.has(name)) twice.add(name);
    seen.add(name);
  }
  return [...twice];
}

// In one database, a target that is a source as well would bring its own rows back for ever.
function checkCircle(plan: MirrorPlan, source: PeerFacts, target: PeerFacts): readonly Finding[] {
  const check = 'source and target';
  if (source.server !== target.server || source.database !== target.database) {
    return [ok(check, 'are two databases')];
  }
  const sources = new Set(plan.tables.map(({ from }) => showTable(from)));
  const circle = plan.tables.filter(({ to }) => sources.has(showTable(to)));
  if (circle.length === 0) return [ok(check, 'are one database; no table is both')];
  const detail = `Both sides: ${circle.map(({ to }) => showTable(to)).join(', ')}.`;
  const hint = 'Source and target are the same database. Give another target peer, or other target tables.';
  const itself = circle.every(({ from, to }) => sameTable(from, to));
  const message = itself ? 'the mirror would go onto itself' : 'a target table is a source table of the same mirror';
  return [problem(check, 'invalid_option', { message, detail, hint })];
}
