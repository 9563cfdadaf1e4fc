// A stock QuickFIX acceptor as the exchange behind the gateway: takes orders, fills half of each at once, rests or
// cancels the other half, replaces, cancels, and answers how an order stands.
//
// venue CONFIG    until SIGTERM; what it filled is kept in CONFIG.fills, a line each: ClOrdID, side, shares

#include <quickfix/Application.h>
#include <quickfix/FileLog.h>
#include <quickfix/FileStore.h>
#include <quickfix/Session.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/SocketAcceptor.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace {

std::atomic<bool> ended{false};

std::string text(const FIX::FieldMap &of, int tag) {
  return of.isSetField(tag) ? of.getField(tag) : std::string();
}

struct Order {
  std::string symbol, side, price;
  long qty = 0, cum = 0;
  bool live = true;
};

class Venue : public FIX::NullApplication {
 public:
  explicit Venue(const std::string &fills) { fills_.open(fills, std::ios::app); }

  void onLogon(const FIX::SessionID &) override { std::cout << "logon" << std::endl; }
  void onLogout(const FIX::SessionID &) override { std::cout << "logout" << std::endl; }

  void fromAdmin(const FIX::Message &message, const FIX::SessionID &) noexcept override {
    // A Reject means that the gateway took offence at QuickFIX.
    if (text(message.getHeader(), 35) == "3") std::cout << "FAIL " << message.toString() << std::endl;
  }

  void fromApp(const FIX::Message &message, const FIX::SessionID &session) noexcept override {
    std::lock_guard<std::mutex> lock(mutex_);
    session_ = session;
    fix42_ = session.getBeginString().getValue() == "FIX.4.2";
    std::string kind = text(message.getHeader(), 35);
    std::string name = text(message, 11), before = text(message, 41);
    if (kind == "D") {
      Order &order = orders_[name];
      order.symbol = text(message, 55);
      order.side = text(message, 54);
      order.price = text(message, 44);
      order.qty = std::stol(text(message, 38));
      report(name, "", order, "0", 0);
      fill(name, order, order.qty > 1 ? order.qty / 2 : 1);
      if (order.live && text(message, 59) == "3") {
        order.live = false;
        report(name, "", order, "4", 0);
      }
    } else if (kind == "F" || kind == "G") {
      auto found = orders_.find(before);
      if (found == orders_.end() || !found->second.live) return refuse(name, before, kind);
      Order order = found->second;
      found->second.live = false;
      if (kind == "F") {
        order.live = false;
        report(name, before, order, "4", 0);
      } else {
        order.qty = std::stol(text(message, 38));
        order.price = text(message, 44);
        orders_[name] = order;
        report(name, before, order, "5", 0);
      }
    } else if (kind == "H") {
      auto found = orders_.find(name);
      Order none;
      none.symbol = text(message, 55);
      none.side = text(message, 54);
      report(name, "", found == orders_.end() ? none : found->second, "I", 0, found == orders_.end());
    } else {
      std::cout << "FAIL unexpected " << message.toString() << std::endl;
    }
  }

 private:
  void fill(const std::string &name, Order &order, long shares) {
    order.cum += shares;
    order.live = order.cum < order.qty;
    report(name, "", order, fix42_ ? (order.live ? "1" : "2") : "F", shares);
    // What is on its way is in QuickFIX's store.
    fills_ << name << ' ' << order.side << ' ' << shares << std::endl;
  }

  void refuse(const std::string &name, const std::string &before, const std::string &kind) {
    FIX::Message message;
    message.getHeader().setField(35, "9");
    message.setField(37, "NONE");
    message.setField(11, name);
    message.setField(41, before);
    message.setField(39, "8");
    message.setField(434, kind == "F" ? "1" : "2");
    message.setField(102, "0");
    FIX::Session::sendToTarget(message, session_);
  }

  void report(const std::string &name, const std::string &before, const Order &order,
              const std::string &type, long shares, bool unknown = false) {
    FIX::Message message;
    message.getHeader().setField(35, "8");
    message.setField(37, unknown ? "NONE" : "V" + name);
    message.setField(11, name);
    if (!before.empty()) message.setField(41, before);
    message.setField(17, std::to_string(getpid()) + "-" + std::to_string(++executions_));
    std::string status = unknown ? "8" : order.cum == order.qty ? "2" : !order.live ? "4" : order.cum > 0 ? "1" : "0";
    if (fix42_) message.setField(20, type == "I" ? "3" : "0");
    message.setField(150, type == "I" && fix42_ ? status : type);
    message.setField(39, type == "5" && fix42_ ? "5" : status);
    message.setField(55, order.symbol);
    message.setField(54, order.side);
    message.setField(38, std::to_string(order.qty));
    if (shares > 0) {
      message.setField(32, std::to_string(shares));
      message.setField(31, order.price);
    }
    message.setField(151, std::to_string(order.live && !unknown ? order.qty - order.cum : 0));
    message.setField(14, std::to_string(order.cum));
    message.setField(6, order.cum > 0 ? order.price : "0");
    FIX::Session::sendToTarget(message, session_);
  }

  std::mutex mutex_;
  std::ofstream fills_;
  FIX::SessionID session_;
  bool fix42_ = false;
  std::map<std::string, Order> orders_;
  long executions_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  std::string config = argv[1];
  signal(SIGTERM, [](int) { ended = true; });
  try {
    FIX::SessionSettings settings(config);
    Venue venue(config + ".fills");
    FIX::FileStoreFactory store(settings);
    FIX::FileLogFactory log(settings);
    FIX::SocketAcceptor acceptor(venue, store, settings, log);
    acceptor.start();
    std::cout << "ready" << std::endl;
    while (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    acceptor.stop();
    return 0;
  } catch (std::exception &error) {
    std::cout << "FAIL " << error.what() << std::endl;
    return 1;
  }
}
