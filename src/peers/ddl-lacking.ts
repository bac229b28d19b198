// Partitions that a partitioned table of the target lacks, where it stands before the mirror and is used. Pure.
import { quoteName } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { attachPartition } from './ddl.ts';
import { sameExpression } from './ddl-fit.ts';
import type { Member, PlanContext, SchemaStep, TableTree } from './ddl-tree.ts';

/** A partition of the source that stands below no table of the target, and where it belongs there. */
export interface Lacking {
  readonly member: Member;
  readonly parent: TableName;
}

export interface LackingPartitions {
  /** The topmost of those that are to be attached. */
  readonly attach: readonly Lacking[];
  /** They, and all below those that do not stand: parents first. */
  readonly members: readonly Member[];
  /** Tables of the target that are divided otherwise than the source's, and may have no place for a row: in words. */
  readonly otherwise: readonly string[];
}

/**
 * A table of the target whose partitions are all some of the source's by their bounds lacks the rest. One that is divided in its
 * own way, or not at all, is used as it is.
 */
export function lackingPartitions(context: PlanContext, tree: TableTree): LackingPartitions {
  const attach: Lacking[] = [];
  const members: Member[] = [];
  const otherwise: string[] = [];
  const visit = (member: Member) => {
    const there = standing(context, member);
    const children = context.children.get(showTable(member.source)) ?? [];
    if (there?.partitioning == null || member.source.partitioning === null) return;
    const bounds = context.target.bounds.get(showTable(there)) ?? [];
    const lacking: Member[] = [];
    for (const child of children) {
      const own = standing(context, child);
      if (own?.partitionOf != null && sameTable(own.partitionOf.parent, there)) visit(child);
      else if (!bounds.some((bound) => sameBound(bound, child))) lacking.push(child);
    }
    if (lacking.length === 0) return;
    const alike =
      sameExpression(there.partitioning.key, member.source.partitioning.key) &&
      bounds.every((bound) => children.some((child) => sameBound(bound, child)));
    if (alike) {
      for (const each of lacking) {
        attach.push({ member: each, parent: member.to });
        members.push(...(standing(context, each) === undefined ? withAllBelow(context, each) : [each]));
        visit(each);
      }
    } else if (!bounds.includes('DEFAULT')) {
      otherwise.push(`${showTable(there)} (${there.partitioning.key}, ${bounds.length} partitions)`);
    }
  };
  visit({ tree, source: tree.root, to: tree.mapping.to });
  return { attach, members, otherwise };
}

/** What attaches one, after it was made. */
export function attachStep({ member: { source, to }, parent }: Lacking): readonly SchemaStep[] {
  if (source.partitionOf === null) return [];
  return [
    {
      what: `partition ${showTable(to)} of ${quoteName(parent.schema, parent.name)}`,
      id: `attach:${source.oid}`,
      after: [`pg_class:${source.oid}`],
      statements: [attachPartition(parent, to, source.partitionOf)],
    },
  ];
}

/** What keeps rows from the target where nothing may be made there. */
export function lackingWords({ member: { source, to }, parent }: Lacking): string {
  return `${showTable(parent)} has no partition ${source.partitionOf?.bound} on the target, as is ${showTable(to)} on the source`;
}

function standing(context: PlanContext, { to }: Member): Table | undefined {
  return context.target.tables.get(showTable(to));
}

function sameBound(bound: string, { source }: Member): boolean {
  return source.partitionOf !== null && sameExpression(bound, source.partitionOf.bound);
}

function withAllBelow(context: PlanContext, member: Member): readonly Member[] {
  const children = context.children.get(showTable(member.source)) ?? [];
  return [member, ...children.flatMap((child) => withAllBelow(context, child))];
}
