// Calls a deployment with the platform's own client and prints what it gets, one JSON object.
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ConvexError } from "convex/values";

const query = (name) => makeFunctionReference(name);
const client = new ConvexHttpClient(process.env.URL, { logger: false });
const found = {};

found.flags = await client.query(query("monitoring/dashboard:getFeatureFlags"), {});
found.task = (await client.mutation(query("api/testHelpers:createTestTask"), { title: "from npm" })).taskId;
found.action = await client.action(query("probe:act"), { n: 2 });

const value = { big: 2n ** 62n, whole: 5, minus: -0, not: NaN, bytes: new Uint8Array([1, 2]).buffer };
const echoed = await client.query(query("probe:echo"), value);
found.echo = {
  big: echoed.big === value.big,
  whole: echoed.whole === 5,
  minus: Object.is(echoed.minus, -0),
  not: Number.isNaN(echoed.not),
  bytes: echoed.bytes.byteLength === 2,
};

try {
  await client.query(query("probe:fail"), {});
} catch (error) {
  found.error = { typed: error instanceof ConvexError, data: error.data };
}
try {
  await client.query(query("no:no"), {});
} catch (error) {
  found.missing = error.message;
}

const early = new ConvexHttpClient(process.env.URL, { logger: false });
const before = await early.consistentQuery(query("probe:count"), {});
await client.mutation(query("api/testHelpers:createTestUser"), {});
found.consistent = [before, await early.consistentQuery(query("probe:count"), {}), await client.query(query("probe:count"), {})];

const admin = new ConvexHttpClient(process.env.URL, { logger: false });
admin.setAdminAuth(process.env.KEY);
found.mapping = await admin.query(query("_system/frontend/getTableMapping"), {});
admin.setAdminAuth("dev:happy-animal-123|wrong");
try {
  await admin.query(query("probe:count"), {});
} catch (error) {
  found.refused = error.message;
}
console.log(JSON.stringify(found));
