// Every family of objects that is read: a reader file each. What is not read here is neither moved nor told of.
import type { Reader } from './entity.ts';
import { readCollations, readConversions } from './read-collations.ts';
import { readComments, readSecurityLabels } from './read-comments.ts';
import { readForeign } from './read-foreign.ts';
import { readDefaultPrivileges, readGrants, readPublicSchema } from './read-grants.ts';
import { readAccessMethods, readLanguages, readTransforms } from './read-languages.ts';
import { readLargeObjectRights } from './read-large-objects.ts';
import { readOperators } from './read-operators.ts';
import { readOwners } from './read-owners.ts';
import { readRowSecurity } from './read-policies.ts';
import { readRoutines } from './read-routines.ts';
import { readExtensions, readSchemas } from './read-schemas.ts';
import { readTextSearch } from './read-search.ts';
import { readFreeSequences } from './read-sequences.ts';
import { readDatabaseItself } from './read-settings.ts';
import { readEventTriggers, readRules, readTriggers } from './read-triggers.ts';
import { readAllTypes } from './read-types.ts';
import { readUnmoved } from './read-unmoved.ts';
import { readViewParts, readViewRules, readViews } from './read-views.ts';

/** In the order in which they are made, as far as nothing needs another. */
export const readers: readonly Reader[] = [
  readSchemas,
  readExtensions,
  readCollations,
  readConversions,
  readAllTypes,
  readFreeSequences,
  readLanguages,
  readRoutines,
  readTransforms,
  readAccessMethods,
  readOperators,
  readTextSearch,
  readForeign,
  readViews,
  readViewParts,
  readViewRules,
  readUnmoved,
  readRules,
  readTriggers,
  readRowSecurity,
  readComments,
  readSecurityLabels,
  readPublicSchema,
  readGrants,
  readDefaultPrivileges,
  readLargeObjectRights,
  readDatabaseItself,
  readOwners,
  readEventTriggers,
];
