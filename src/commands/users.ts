// Further logins to the gateway: made, changed, dropped and shown. Of a password only what proves it is kept.
import { SluiceError } from '../base/errors.ts';
import type { UserTable } from '../catalog/users.ts';
import type { AlterUser, CreateUser, Statement, UserAccess } from '../sql/statement.ts';
import { createVerifier, readVerifier, type ScramVerifier } from '../wire/scram.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { said } from './said.ts';

export interface UserDeps {
  readonly users: UserTable;
}

/** CREATE USER. @throws `duplicate_object`, `name_too_long`, `invalid_option` for an empty name or password */
export async function createUser(
  { users }: UserDeps,
  statement: CreateUser,
  context: CommandContext,
): Promise<CommandResult> {
  const { name, password, access } = statement;
  checkName(name);
  checkPassword(password);
  await users.insert(name, { access, verifier: await verifierOf(password) }, said(statement, context));
  return { tag: 'CREATE USER', notices: [] };
}

function checkName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes > 63) {
    throw new SluiceError('name_too_long', `user name "${name}" has ${bytes} bytes, at most 63 fit`, {
      hint: 'Use a shorter one.',
    });
  }
  if (name === '') throw new SluiceError('invalid_option', 'a user needs a name');
}

/** As PostgreSQL takes it: a password, or what psql's \\password has made of one. */
async function verifierOf(password: string): Promise<ScramVerifier> {
  if (/^md5[0-9a-f]{32}$/.test(password)) {
    throw new SluiceError('invalid_option', 'a password that was encrypted with MD5 cannot be used', {
      hint: 'Give the password itself, or a SCRAM-SHA-256 verifier.',
    });
  }
  return readVerifier(password) ?? (await createVerifier(password));
}

function checkPassword(password: string): void {
  if (password === '') throw new SluiceError('invalid_option', 'a user needs a password that is not empty');
  if (password.includes('\0')) throw new SluiceError('invalid_option', 'a password cannot hold a zero byte');
}

/** ALTER USER. Who is logged in with another access than before is logged out. @throws `undefined_object`, `invalid_option` */
export async function alterUser(
  { users }: UserDeps,
  statement: AlterUser,
  context: CommandContext,
): Promise<CommandResult> {
  const { name, password, access } = statement;
  if (password !== undefined) checkPassword(password);
  const verifier = password === undefined ? undefined : await verifierOf(password);
  await users.update(name, { access, verifier }, said(statement, context));
  return { tag: 'ALTER USER', notices: [] };
}

/** DROP USER. Who is logged in by that name is logged out. @throws `undefined_object` */
export async function dropUser(
  { users }: UserDeps,
  statement: Extract<Statement, { readonly kind: 'drop_user' }>,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'DROP USER';
  try {
    await users.remove(statement.name, said(statement, context));
    return { tag, notices: [] };
  } catch (error) {
    const absent = error instanceof SluiceError && error.kind === 'undefined_object';
    if (!absent || !statement.ifExists) throw error;
    return { tag, notices: [`user "${statement.name}" does not exist, skipping`] };
  }
}

const accessWords: Readonly<Record<UserAccess, string>> = { read_write: 'READ WRITE', read_only: 'READ ONLY' };

/** SHOW USERS: a line for each. The owner is none of them. */
export async function showUsers({ users }: UserDeps): Promise<CommandResult> {
  const list = await users.list();
  return {
    tag: 'SHOW',
    notices: [],
    columns: [
      { name: 'name', type: 'text' },
      { name: 'access', type: 'text' },
      { name: 'created_by', type: 'text' },
      { name: 'created_at', type: 'timestamptz' },
    ],
    rows: list.map(({ name, access, createdBy, createdAt }) => [name, accessWords[access], createdBy, createdAt]),
  };
}
