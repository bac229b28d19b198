// The costly part of a SCRAM login, once for each password instead of for each session: a copy opens some thirty of them.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

type DeriveKey = (password: string, salt: Uint8Array, iterations: number) => Promise<ArrayBuffer>;

const mostKeys = 256;

/**
 * Remembers keys: what the server's salt and iterations make of a password (Hi() of RFC 5802), thousands of hashes that are the
 * same until the password is set anew. The least lately used is forgotten first; a password itself is not kept.
 */
export function rememberingKeys(derive: DeriveKey): DeriveKey {
  const known = new Map<string, Promise<ArrayBuffer>>();
  return (password, salt, iterations) => {
    const of = createHash('sha256')
      .update(`${iterations} ${salt.length} `)
      .update(salt)
      .update(password)
      .digest('base64');
    const key = known.get(of) ?? derive(password, salt, iterations);
    known.delete(of);
    known.set(of, key);
    key.catch(() => known.delete(of));
    for (const oldest of known.keys()) {
      if (known.size <= mostKeys) break;
      known.delete(oldest);
    }
    return key;
  };
}

// Where another version of pg has its parts elsewhere, each session pays for itself.
function ofPg(): { deriveKey?: DeriveKey } {
  try {
    return createRequire(import.meta.url)('pg/lib/crypto/utils') as { deriveKey?: DeriveKey };
  } catch {
    return {};
  }
}

const parts = ofPg();
if (typeof parts.deriveKey === 'function') parts.deriveKey = rememberingKeys(parts.deriveKey);
