// The benchmarks: `deno task bench NAME`, where NAME is one of the cases below, each with its own options.

const [name = "", ...args] = Deno.args;
switch (name) {
  case "pg":
    await (await import("./pg.ts")).main(args);
    break;
  case "pg-many":
    await (await import("./pg_many.ts")).main(args);
    break;
  case "mysql":
    await (await import("./mysql.ts")).main(args);
    break;
  case "mssql":
    await (await import("./mssql.ts")).main(args);
    break;
  case "store":
    await (await import("./store.ts")).main(args);
    break;
  case "reconcile":
    await (await import("./reconcile.ts")).main(args);
    break;
  default:
    console.error("Usage: deno task bench pg | pg-many | mysql | mssql | store | reconcile [options]");
    Deno.exit(1);
}
