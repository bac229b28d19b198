// Where PostgreSQL's parser says that names stand which may begin with a database's name, and so with a peer's.
import type { Tree } from './parser.ts';

/** What a statement names. Offsets count bytes of UTF-8. */
export interface NamedPlaces {
  /** Where qualified names of relations, functions, types and columns begin. */
  readonly offsets: ReadonlySet<number>;
  /** Where columns are named that begin with no database's name, whatever they look like. */
  readonly columns: ReadonlySet<number>;
  /** Qualified names that carry no offset (DROP, COMMENT, operators, …), parts joined with NUL. */
  readonly lists: ReadonlySet<string>;
  /** Whether anything is named that lives in some schema of some server, beside functions, types and operators in use. */
  readonly relations: boolean;
}

type Node = Readonly<Record<string, unknown>>;

interface Found {
  readonly offsets: Set<number>;
  readonly columns: Set<number>;
  readonly lists: Set<string>;
  readonly relations: Set<string>;
  readonly withNames: Set<string>;
  objects: boolean;
}

/** Walks a tree without recursion: a long expression is a deep tree. */
export function namedPlaces(tree: Tree): NamedPlaces {
  const found: Found = {
    offsets: new Set(),
    columns: new Set(),
    lists: new Set(),
    relations: new Set(),
    withNames: new Set(),
    objects: false,
  };
  const open: Tree[] = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    if (Array.isArray(node)) {
      for (const each of node) open.push(each);
      continue;
    }
    readNode(node as Node, found);
    for (const value of Object.values(node as Node)) open.push(value);
  }
  const { offsets, columns, lists, withNames } = found;
  const relations = found.objects || [...found.relations].some((name) => !withNames.has(name));
  return { offsets, columns, lists, relations };
}

// Lists of name parts in statements that make, change or drop what they name.
const objectKeys = [
  'cfgname',
  'collname',
  'conversion_name',
  'defnames',
  'dictname',
  'domainname',
  'func_name',
  'funcname',
  'opclassname',
  'opername',
  'opfamilyname',
  'typeName',
] as const;
// Lists of name parts of what is only used.
const usedKeys = [
  'collation',
  'handler_name',
  'name',
  'opclass',
  'operName',
  'order_family',
  'plhandler',
  'plinline',
  'plvalidator',
  'useOp',
] as const;

function readNode(node: Node, found: Found): void {
  const { relname, catalogname, schemaname, ctename, fields, names, location } = node;
  const at = typeof location === 'number' ? location : 0;
  if (typeof ctename === 'string') found.withNames.add(ctename);
  if (typeof relname === 'string') {
    if (typeof catalogname === 'string' && catalogname !== '') found.offsets.add(at);
    // A name with a schema is never that of a WITH query.
    found.relations.add(typeof schemaname === 'string' ? `\0${relname}` : relname);
  }
  // `catalog.schema.table.column`
  if (Array.isArray(fields)) (fields.length === 4 ? found.offsets : found.columns).add(at);
  if (Array.isArray(names)) readTypeName(node, names, found);
  if (Array.isArray(node.funcname) && typeof location === 'number') {
    if (node.funcname.length === 3) found.offsets.add(at);
  } else if (Array.isArray(node.objname)) {
    addList(stringList(node.objname), found);
    found.objects = true;
  }
  readLists(node, found);
  readObjects(node, found);
}

function readTypeName(node: Node, names: readonly unknown[], found: Found): void {
  // `column%TYPE` has one part more.
  const wanted = node.pct_type === true ? 4 : 3;
  if (names.length !== wanted) return;
  if (typeof node.location === 'number' && node.location >= 0) found.offsets.add(node.location);
  else addList(stringList(names), found);
}

function readLists(node: Node, found: Found): void {
  for (const key of objectKeys) {
    const value = node[key];
    if (!Array.isArray(value) || (key === 'funcname' && typeof node.location === 'number')) continue;
    addList(stringList(value), found);
    if (key !== 'collname' || typeof node.location !== 'number') found.objects = true;
  }
  for (const key of usedKeys) {
    const value = node[key];
    if (Array.isArray(value)) addList(stringList(value), found);
  }
  for (const key of ['dicts', 'exclusions'] as const) {
    const value = node[key];
    if (Array.isArray(value)) for (const each of nestedLists(value)) addList(each, found);
  }
  // The options of CREATE TYPE, OPERATOR, SEQUENCE …
  if (typeof node.defname === 'string') {
    addList(itemsOf(node.arg), found, node.defname === 'owned_by' ? 4 : 3);
  }
}

/** COMMENT, SECURITY LABEL, DROP, ALTER … SET SCHEMA, OWNER, RENAME, GRANT, ALTER EXTENSION … ADD. */
function readObjects(node: Node, found: Found): void {
  const kind = String(node.objtype ?? node.objectType ?? node.removeType ?? node.renameType ?? '');
  const named = [
    ...(Array.isArray(node.objects) ? node.objects : []),
    ...(node.object === undefined ? [] : [node.object]),
  ];
  for (const each of named) {
    const { String: simple, RangeVar: relation } = each as Node;
    // A schema, a role, a database: nothing that stands in a schema.
    if (simple === undefined && relation === undefined) found.objects = true;
    const parts = itemsOf(each);
    switch (kind) {
      case 'OBJECT_COLUMN':
        addList(parts, found, 4);
        break;
      case 'OBJECT_TABCONSTRAINT':
      case 'OBJECT_TRIGGER':
      case 'OBJECT_RULE':
      case 'OBJECT_POLICY':
        // `… name ON table`: the name comes last.
        addList(parts.slice(0, -1), found);
        break;
      case 'OBJECT_OPCLASS':
      case 'OBJECT_OPFAMILY':
        // The access method comes first.
        addList(parts.slice(1), found);
        break;
      default:
        addList(parts, found);
    }
  }
}

function addList(parts: readonly string[], found: Found, wanted = 3): void {
  if (parts.length === wanted) found.lists.add(parts.join('\0'));
}

function itemsOf(value: unknown): readonly string[] {
  const list = (value as { readonly List?: { readonly items?: unknown } } | null | undefined)?.List?.items;
  return Array.isArray(list) ? stringList(list) : [];
}

/** The lists of names in a list, also one level deeper. */
function nestedLists(list: readonly unknown[]): readonly (readonly string[])[] {
  return list.flatMap((each) => {
    const items = (each as { readonly List?: { readonly items?: readonly unknown[] } } | null)?.List?.items ?? [];
    return [stringList(items), ...items.map(itemsOf)];
  });
}

function stringList(list: readonly unknown[]): readonly string[] {
  const texts: string[] = [];
  for (const item of list) {
    const text = (item as { readonly String?: { readonly sval?: unknown } } | null)?.String?.sval;
    if (typeof text !== 'string') return [];
    texts.push(text);
  }
  return texts;
}
