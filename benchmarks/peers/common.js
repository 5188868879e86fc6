// What the two Node peers share: settings, statements, and the verdict on a row.
import { createHash } from 'node:crypto';
import cluster from 'node:cluster';
import Redis from 'ioredis';
import pg from 'pg';

export const SECRET = process.env.PEER_SECRET;
export const LIMIT = Number(process.env.PEER_LIMIT); // requests a minute
export const MINUTE = 60_000;
export const KEY = '^[A-Z0-9]{5}(-[A-Z0-9]{5}){4}$';
export const FINGERPRINT = '^[0-9a-f]{64}$';

const VERDICT = `
  SELECT l.plan, l.product, l.status, l.expires_at, l.max_machines, l.features, m.id AS machine_id
  FROM licences l LEFT JOIN machines m ON m.licence_id = l.id AND m.fingerprint = $2
  WHERE l.key_hash = $1`;
const USER = `
  SELECT id, email, display_name, role, plan, is_active, email_verified, created_at, last_login_at,
    EXISTS (SELECT FROM revoked_tokens WHERE jti = $2) AS revoked
  FROM users WHERE id = $1`;

// Statements with a name are prepared once a connection. The pool finds PostgreSQL by libpq's variables.
export function openDatabase() {
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({ min: 10, max: 10 });
  return {
    async findLicence(key, fingerprint) {
      const keyHash = createHash('sha256').update(key).digest();
      return (await pool.query({ name: 'verdict', text: VERDICT, values: [keyHash, fingerprint] })).rows[0];
    },
    // undefined for a user who may not act, or whose token is revoked
    async findUser(id, tokenId) {
      const user = (await pool.query({ name: 'user', text: USER, values: [Number(id), tokenId] })).rows[0];
      return user?.is_active && !user.revoked ? user : undefined;
    },
  };
}

export const openRedis = () => new Redis(process.env.REDIS_URL, { connectTimeout: 500, maxRetriesPerRequest: 1 });

export function judge(row, now) {
  const checked_at = now.toISOString();
  if (!row) return { valid: false, code: 'not_found', licence: null, machine_id: null, checked_at };
  const { plan, product, status, expires_at, max_machines, features, machine_id } = row;
  let code = 'ok';
  if (status !== 'active') code = status;
  else if (expires_at <= now) code = 'expired';
  else if (machine_id === null) code = 'machine_not_activated';
  const licence = { plan, product, expires_at: expires_at.toISOString(), max_machines, features };
  return { valid: code === 'ok', code, licence, machine_id, checked_at };
}

// Serve by PEER_WORKERS processes, which end with their primary.
export async function serve(work) {
  if (cluster.isPrimary) {
    for (let i = 0; i < Number(process.env.PEER_WORKERS); i++) cluster.fork();
    process.on('SIGTERM', () => {
      for (const worker of Object.values(cluster.workers)) worker.kill();
      process.exit(0);
    });
    return;
  }
  process.on('disconnect', () => process.exit(0));
  await work(Number(process.env.PEER_PORT));
}
