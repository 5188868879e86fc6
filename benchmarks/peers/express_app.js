// The Express peer: zod for bodies, a pg pool of ten a worker with prepared statements,
// express-rate-limit with its Redis store.
import { createSecretKey } from 'node:crypto';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import jwt from 'jsonwebtoken';
import { RedisStore } from 'rate-limit-redis';
import { z } from 'zod';
import { FINGERPRINT, KEY, LIMIT, MINUTE, SECRET, judge, openDatabase, openRedis, serve } from './common.js';

const ValidateIn = z.strictObject({
  key: z.string().regex(new RegExp(KEY)),
  fingerprint: z.string().regex(new RegExp(FINGERPRINT)),
});

// A text would be turned into a key object for each token.
const signingKey = createSecretKey(Buffer.from(SECRET));

function authenticate(request, response, next) {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    request.claims = jwt.verify(token, signingKey, { algorithms: ['HS256'] });
  } catch {
    return response.status(401).json({ error: 'bad token' });
  }
  next();
}

function readBody(request, response, next) {
  const read = ValidateIn.safeParse(request.body);
  if (!read.success) return response.status(422).json({ errors: read.error.issues });
  request.data = read.data;
  next();
}

serve(async (port) => {
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', 1);
  const database = openDatabase();
  const redis = openRedis();
  const limited = (prefix, options = {}) =>
    rateLimit({
      windowMs: MINUTE,
      limit: LIMIT,
      store: new RedisStore({ prefix, sendCommand: (name, ...rest) => redis.call(name, ...rest) }),
      ...options,
    });

  const byAddress = limited('limit:address:');
  app.post('/v1/licences/validate', byAddress, express.json({ limit: '1mb' }), readBody, async (request, response) => {
    const row = await database.findLicence(request.data.key, request.data.fingerprint);
    response.json(judge(row, new Date()));
  });

  const byUser = limited('limit:user:', { keyGenerator: (request) => request.claims.sub });
  app.get('/v1/auth/me', authenticate, byUser, async (request, response) => {
    const user = await database.findUser(request.claims.sub, request.claims.jti);
    if (!user) return response.status(401).json({ error: 'revoked' });
    const { id, email, display_name, role, plan, email_verified, created_at, last_login_at } = user;
    response.json({ id, email, display_name, role, plan, email_verified, created_at, last_login_at });
  });

  app.listen(port, '127.0.0.1', 2048);
});
