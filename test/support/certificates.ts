// Certificates for tests: an authority of our own and what it signs, made on the spot by openssl.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverAccount } from '../../src/pg/binaries.ts';

export const hasOpenssl: boolean = spawnSync('openssl', ['version']).status === 0;

export interface Certificate {
  readonly certificate: string;
  readonly privateKey: string;
  /** Files that the server's account can read. */
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** An authority in a folder of its own; gone with it. */
export interface Authority extends Disposable {
  readonly folder: string;
  /** PEM. */
  readonly certificate: string;
  readonly certificateFile: string;
  /** Signs a certificate for a common name and alternative names (`DNS:a,IP:127.0.0.1`). */
  issue(name: string, alternatives?: string): Certificate;
}

function openssl(...args: readonly string[]): void {
  const done = spawnSync('openssl', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`openssl ${args[0]}: ${done.stderr}`);
}

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const;

export function makeAuthority(name = 'Test authority'): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-ca-'));
  const account = serverAccount();
  chmodSync(folder, 0o711);
  const file = (part: string) => join(folder, part);
  const mine = (path: string, mode: number) => {
    if (account !== undefined) chownSync(path, account.uid, account.gid);
    chmodSync(path, mode);
  };
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  mine(file('ca.pem'), 0o644);
  return {
    folder,
    certificate: readFileSync(file('ca.pem'), 'utf8'),
    certificateFile: file('ca.pem'),
    issue(subject, alternatives) {
      const [keyFile, request, out] = [file(`${subject}.key`), file(`${subject}.csr`), file(`${subject}.pem`)];
      openssl('req', ...key, '-keyout', keyFile, '-out', request, '-subj', `/CN=${subject}`);
      writeFileSync(file('ext'), alternatives === undefined ? '' : `subjectAltName=${alternatives}\n`);
      const ca = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'];
      openssl('x509', '-req', '-in', request, ...ca, '-out', out, '-days', '2', '-extfile', file('ext'));
      mine(keyFile, 0o600);
      mine(out, 0o644);
      return {
        certificate: readFileSync(out, 'utf8'),
        privateKey: readFileSync(keyFile, 'utf8'),
        certificateFile: out,
        keyFile,
      };
    },
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
