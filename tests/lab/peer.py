"""Independent readers of what millrace records: DuckDB, pandas and polars agree with each other and with the journal,
NumPy computes the same signals by their definition, hftbacktest plays the export.

Usage: peer.py RECORDING JOURNAL_EXPORT HFTBACKTEST_FILE
"""
import sys
from collections import defaultdict

import duckdb
import numpy as np
import pandas as pd
import polars as pl

recording, export, hft = sys.argv[1:4]
SUMS = """select symbol, kind, count(*) n, sum(shares) shares, sum(price * shares) notional, min(time) a, max(time) b
          from '{}/events/**/*.parquet' group by all order by all"""


def same(a, b, what):
    assert a == b, f"{what}: {a} is not {b}"


# Sums for each symbol: what was recorded live, and what the journal says.
live, journal = (duckdb.sql(SUMS.format(d)).fetchall() for d in (recording, export))
same(live, journal, "DuckDB's sums")
frame = pd.read_parquet(f"{recording}/events")
by = frame.groupby(["symbol", "kind"], observed=True).agg(n=("number", "count"), shares=("shares", "sum"))
same({k: (r.n, r.shares) for k, r in by.iterrows()}, {(s, k): (n, q) for s, k, n, q, *_ in live}, "pandas' sums")
assert str(frame.time.dtype) == "datetime64[ns, UTC]" and frame.number.dtype == np.uint64, frame.dtypes
lazy = pl.scan_parquet(f"{recording}/events/**/*.parquet", hive_partitioning=True)
rows = lazy.group_by("symbol", "kind").agg(pl.len(), pl.col("shares").sum()).collect().rows()
same({(s, k): (n, q) for s, k, n, q in rows}, {(s, k): (n, q) for s, k, n, q, *_ in live}, "polars' sums")
assert frame.local.ge(frame.received).all() and frame.number.is_unique

# The signals of each event, from the whole book, by their definitions.
signals = pd.read_parquet(f"{recording}/signals")
checked = 0
for symbol, events in frame.groupby("symbol", observed=True):
    told = signals[signals.symbol == symbol].set_index("number")
    orders, sides, flow = {}, {"buy": defaultdict(int), "sell": defaultdict(int)}, 0
    before = (0.0, 0, np.inf, 0)

    def lower(ref, shares):
        if ref not in orders:
            return
        side, price, left = orders[ref]
        shares = left if shares is None else shares
        orders[ref] = (side, price, left - shares)
        sides[side][price] -= shares
        if not sides[side][price]:
            del sides[side][price]
        if left == shares:
            del orders[ref]

    for e in events.sort_values("number").itertuples():
        if e.kind == "replace":
            side = e.side
            lower(e.replaces, None)
        if e.kind in ("add", "replace"):
            orders[e.order] = (e.side, e.price, e.shares)
            sides[e.side][e.price] += e.shares
        elif e.kind in ("execute", "execute_at", "cancel"):
            lower(e.order, e.shares)
        elif e.kind == "delete":
            lower(e.order, None)
        bids = sorted(sides["buy"].items(), reverse=True)
        asks = sorted(sides["sell"].items())
        pb, qb = bids[0] if bids else (0.0, 0)
        pa, qa = asks[0] if asks else (np.inf, 0)
        if e.kind != "trade":
            pb0, qb0, pa0, qa0 = before
            flow += int((pb >= pb0) * qb - (pb <= pb0) * qb0 - (pa <= pa0) * qa + (pa >= pa0) * qa0)
            before = (pb, qb, pa, qa)
        t = told.loc[e.number]
        same(t.flow, flow, f"flow at {e.number}")
        for depth in (1, 5, 10):
            b = np.sum([q for _, q in bids[:depth]], dtype=np.int64)
            a = np.sum([q for _, q in asks[:depth]], dtype=np.int64)
            if b + a:
                same(t[f"imbalance_{depth}"], (b - a) / (b + a), f"imbalance {depth} at {e.number}")
        if bids and asks:
            micro = (float(pb) * qa + float(pa) * qb) / (qb + qa)
            assert abs(t.microprice - micro) < 1e-6, (e.number, t.microprice, micro)
            same(t.mid * 2, pb + pa, "mid")
            same(t.spread, pa - pb, "spread")
        checked += 1

# hftbacktest plays it to its end.
from hftbacktest import ALL_ASSETS, BacktestAsset, ROIVectorMarketDepthBacktest, HashMapMarketDepthBacktest

data = np.load(hft)
assert (np.diff(data["exch_ts"]) >= 0).all() and (np.diff(data["local_ts"]) >= 0).all()
asset = (BacktestAsset().data(data).linear_asset(1.0).constant_order_latency(1000, 1000)
         .l3_fifo_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0)
         .tick_size(0.0001).lot_size(1).last_trades_capacity(0))
hbt = HashMapMarketDepthBacktest([asset])
steps, spread = 0, 0
while hbt.elapse(10_000_000) == 0:
    depth = hbt.depth(0)
    steps += 1
    spread += bool(depth.best_bid < depth.best_ask)
hbt.close()
assert steps > 10 and spread > steps // 2, (steps, spread)
print(f"{len(frame)} rows by DuckDB, pandas and polars; {checked} events' signals by NumPy; "
      f"hftbacktest {len(data)} events in {steps} steps")
