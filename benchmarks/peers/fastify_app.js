// The Fastify peer: ajv for bodies, fast-json-stringify for answers, a pg pool of ten a worker with
// prepared statements, @fastify/rate-limit on Redis.
import Fastify from 'fastify';
import fastifyJwt from '@fastify/jwt';
import rateLimit from '@fastify/rate-limit';
import { FINGERPRINT, KEY, LIMIT, MINUTE, SECRET, judge, openDatabase, openRedis, serve } from './common.js';

const string = { type: 'string' };
const integer = { type: 'integer' };
const boolean = { type: 'boolean' };
const timestamp = { type: 'string', format: 'date-time' };
const limit = { max: LIMIT, timeWindow: MINUTE };

const ValidateIn = {
  type: 'object',
  required: ['key', 'fingerprint'],
  additionalProperties: false,
  properties: { key: { type: 'string', pattern: KEY }, fingerprint: { type: 'string', pattern: FINGERPRINT } },
};
const Licence = {
  type: 'object',
  nullable: true,
  properties: {
    plan: string,
    product: string,
    expires_at: string,
    max_machines: integer,
    features: { type: 'array', items: string },
  },
};
const Verdict = {
  type: 'object',
  properties: {
    valid: boolean,
    code: string,
    licence: Licence,
    machine_id: { type: 'integer', nullable: true },
    checked_at: string,
  },
};
const Me = {
  type: 'object',
  properties: {
    id: integer,
    email: string,
    display_name: string,
    role: string,
    plan: string,
    email_verified: boolean,
    created_at: timestamp,
    last_login_at: timestamp,
  },
};

serve(async (port) => {
  const app = Fastify({ logger: false, bodyLimit: 1 << 20, trustProxy: '127.0.0.1' });
  const database = openDatabase();
  await app.register(fastifyJwt, { secret: SECRET });
  await app.register(rateLimit, { global: false, redis: openRedis() });

  app.post(
    '/v1/licences/validate',
    { config: { rateLimit: limit }, schema: { body: ValidateIn, response: { 200: Verdict } } },
    async ({ body }) => judge(await database.findLicence(body.key, body.fingerprint), new Date()),
  );

  // Counted by user, and so only when the token has been verified.
  const byUser = { ...limit, hook: 'preHandler', keyGenerator: (request) => `user:${request.user.sub}` };
  app.get(
    '/v1/auth/me',
    {
      config: { rateLimit: byUser },
      schema: { response: { 200: Me } },
      onRequest: (request) => request.jwtVerify(),
    },
    async (request, reply) => {
      const user = await database.findUser(request.user.sub, request.user.jti);
      return user ?? reply.code(401).send({ error: 'revoked' });
    },
  );

  await app.listen({ port, host: '127.0.0.1', backlog: 2048 });
});
