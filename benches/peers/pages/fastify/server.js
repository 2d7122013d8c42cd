// The pages by hand, with Fastify and pg. The key is compared with a constant.
import { timingSafeEqual } from "node:crypto";
import Fastify from "fastify";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });
const expected = Buffer.from(`Bearer ${process.env.API_KEY}`);
const app = Fastify();

app.addHook("onRequest", async (request, reply) => {
  const given = Buffer.from(request.headers.authorization ?? "");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return reply.code(401).send({ title: "Unauthorized" });
  }
});

const querystring = {
  type: "object",
  properties: {
    updatedAtFrom: { type: "string", format: "date-time", default: "0001-01-01T00:00:00Z" },
    page: { type: "integer", minimum: 1, default: 1 },
    pageSize: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
  },
};

app.get("/transactions", { schema: { querystring } }, async (request, reply) => {
  const { updatedAtFrom, page, pageSize } = request.query;
  const { rows } = await pool.query({
    name: "page",
    text: `select body::text as body from transactions_by_hand where updated_at >= $1
           order by updated_at, id limit $2 offset $3`,
    values: [updatedAtFrom, pageSize, (page - 1) * pageSize],
  });
  return reply.type("application/json").send(`[${rows.map((row) => row.body).join(",")}]`);
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
