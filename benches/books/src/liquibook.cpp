// liquibook's book without depth, with its own SimpleOrder, behind a C interface.

#include <cstdint>
#include <memory>
#include <vector>

#include <simple/simple_order_book.h>

using liquibook::simple::SimpleOrder;

namespace {

struct Totals {
  uint64_t trades = 0;
  uint64_t shares = 0;
};

// Orders have to hear of their fills, or they would be filled for ever.
class Book : public liquibook::book::OrderBook<SimpleOrder*> {
 public:
  explicit Book(Totals& totals) : totals_(totals) {}

  void perform_callback(liquibook::book::Callback<SimpleOrder*>& told) override {
    if (told.type != liquibook::book::Callback<SimpleOrder*>::cb_order_fill) return;
    totals_.trades += 1;
    totals_.shares += told.quantity;
    told.matched_order->fill(told.quantity, 0, 0);
    told.order->fill(told.quantity, 0, 0);
  }

 private:
  Totals& totals_;
};

struct Market {
  Totals totals;
  std::vector<std::unique_ptr<Book>> books;
  std::vector<std::unique_ptr<SimpleOrder>> orders;
};

}  // namespace

extern "C" {

Market* liquibook_new(uint16_t symbols, uint32_t orders) {
  auto* market = new Market;
  for (int symbol = 0; symbol < symbols; ++symbol) {
    market->books.push_back(std::make_unique<Book>(market->totals));
  }
  market->orders.resize(orders);
  return market;
}

void liquibook_free(Market* market) { delete market; }

void liquibook_enter(Market* market, uint16_t symbol, uint32_t id, bool buys, uint32_t price, uint32_t qty, bool ioc) {
  namespace book = liquibook::book;
  const auto conditions =
      ioc ? book::OrderCondition::oc_immediate_or_cancel : book::OrderCondition::oc_no_conditions;
  auto& order = market->orders[id];
  order = std::make_unique<SimpleOrder>(buys, price, qty, 0, conditions);
  market->books[symbol]->add(order.get(), conditions);
}

// Whether it was there.
bool liquibook_cancel(Market* market, uint16_t symbol, uint32_t id) {
  auto& order = market->orders[id];
  if (!order || order->open_qty() == 0) return false;
  market->books[symbol]->cancel(order.get());
  order.reset();
  return true;
}

void liquibook_totals(const Market* market, uint64_t* trades, uint64_t* shares) {
  *trades = market->totals.trades;
  *shares = market->totals.shares;
}
}
