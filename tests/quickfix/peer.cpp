// A stock QuickFIX initiator against the gateway: trades, breaks off, comes back.
//
// peer CONFIG trade N      sends N orders, half of which cross, and waits for all answers; then
//                          replaces, asks for, and cancels one, one that is not there, and all
// peer CONFIG break N      the same, but the process ends in the middle, without a word
// peer CONFIG finish       logs on again and waits until every order ever sent was answered
//
// What was sent and heard is kept beside QuickFIX's store, so that a later process can check that
// nothing is missing and nothing came twice.

#include <quickfix/Application.h>
#include <quickfix/FileLog.h>
#include <quickfix/FileStore.h>
#include <quickfix/Session.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/SocketInitiator.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace {

std::string text(const FIX::FieldMap &of, int tag) {
  return of.isSetField(tag) ? of.getField(tag) : std::string();
}

struct Order {
  bool accepted = false;
  bool done = false;
  bool rests = false;
  std::string side;
};

class Peer : public FIX::NullApplication {
 public:
  explicit Peer(const std::string &notes) : path_(notes) {
    std::ifstream old(path_);
    std::string kind, a;
    while (old >> kind >> a) {
      if (kind == "sent") orders_[a];
      if (kind == "heard") executions_.insert(a);
      if (kind == "accepted") orders_[a].accepted = true;
      if (kind == "done") orders_[a].done = true;
    }
    notes_.open(path_, std::ios::app);
  }

  void onLogon(const FIX::SessionID &id) override {
    std::lock_guard<std::mutex> lock(mutex_);
    session_ = id;
    on_ = true;
  }
  void onLogout(const FIX::SessionID &) override {
    std::lock_guard<std::mutex> lock(mutex_);
    on_ = false;
  }

  void toAdmin(FIX::Message &message, const FIX::SessionID &) override {
    if (text(message.getHeader(), 35) == "A") message.setField(554, "secret");
  }

  void fromAdmin(const FIX::Message &message, const FIX::SessionID &) noexcept override {
    // A Reject means that the gateway took offence at QuickFIX.
    if (text(message.getHeader(), 35) == "3") fail("Reject: " + message.toString());
  }

  void toApp(FIX::Message &, const FIX::SessionID &) noexcept override {}

  void fromApp(const FIX::Message &message, const FIX::SessionID &) noexcept override {
    std::lock_guard<std::mutex> lock(mutex_);
    std::string kind = text(message.getHeader(), 35);
    if (kind == "9") {
      orders_[text(message, 11)].accepted = true;
      note("accepted", text(message, 11));
      ++rejects_;
      return;
    }
    if (kind == "r") {
      if (text(message, 531) != "7") fail("mass cancel: " + message.toString());
      ++mass_;
      return;
    }
    if (kind != "8") return fail("unexpected " + message.toString());
    bool again = text(message.getHeader(), 43) == "Y";
    again_ += again;
    std::string execution = text(message, 17);
    if (!executions_.insert(execution).second) {
      if (!again) fail("twice: " + message.toString());
      return;
    }
    note("heard", execution);
    std::string name = text(message, 11);
    std::string type = text(message, 150), status = text(message, 39);
    if (orders_.find(name) == orders_.end()) return fail("of no order: " + message.toString());
    Order &order = orders_[name];
    long cum = std::stol(text(message, 14)), leaves = std::stol(text(message, 151));
    bool live = status == "0" || status == "1";
    if (live && cum + leaves != std::stol(text(message, 38)))
      fail("does not add up: " + message.toString());
    // Passed on to a venue: what becomes of it is told.
    if (type == "6" || type == "E") return;
    if (text(message, 32).size() && type != "H") note("filled", text(message, 32));
    if (type == "I" || text(message, 20) == "3") {
      ++states_;
      return;
    }
    if (type == "0" || type == "5" || (type == "4" && !text(message, 41).empty())) {
      order.accepted = true;
      note("accepted", name);
    } else if (!order.accepted) {
      fail("before it was accepted: " + message.toString());
    }
    if (status == "2" || status == "4") {
      order.done = true;
      note("done", name);
    }
    ++reports_;
  }

  bool on() {
    std::lock_guard<std::mutex> lock(mutex_);
    return on_;
  }

  void send(int n, bool rests) {
    FIX::Message message;
    message.getHeader().setField(35, "D");
    std::string name;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      name = "O" + std::to_string(orders_.size()) + "-" + std::to_string(getpid());
      orders_[name].side = n % 2 ? "1" : "2";
      orders_[name].rests = rests;
      note("sent", name);
    }
    message.setField(11, name);
    message.setField(21, "1");
    message.setField(55, "AAPL");
    message.setField(54, n % 2 ? "1" : "2");
    message.setField(60, FIX::UtcTimeStampConvertor::convert(FIX::UtcTimeStamp()));
    message.setField(38, "10");
    message.setField(40, "2");
    message.setField(44, n % 2 ? "100.00" : "100.01");
    message.setField(59, rests ? "0" : "3");
    FIX::Session::sendToTarget(message, session_);
  }

  // An order that rests, as far as was told; nothing if there is none.
  std::string resting() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto &order : orders_)
      if (order.second.accepted && !order.second.done && order.second.rests) return order.first;
    return std::string();
  }

  // Asks for something about an order: its cancel, replacement, or status. Returns the request's name.
  std::string ask(const std::string &kind, const std::string &about) {
    FIX::Message message;
    message.getHeader().setField(35, kind);
    std::string name = about;
    std::string side;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      side = orders_.count(about) ? orders_[about].side : "1";
      if (kind != "H") {
        name = "R" + std::to_string(orders_.size()) + "-" + std::to_string(getpid());
        orders_[name].side = side;
        orders_[name].rests = kind == "G";
        if (orders_.count(about)) orders_[about].rests = false;
        note("sent", name);
      }
    }
    message.setField(11, name);
    if (kind == "q") {
      message.setField(530, "7");
    } else {
      if (kind != "H") message.setField(41, about);
      message.setField(55, "AAPL");
      message.setField(54, side);
    }
    if (kind != "H") message.setField(60, FIX::UtcTimeStampConvertor::convert(FIX::UtcTimeStamp()));
    if (kind == "G") {
      message.setField(21, "1");
      message.setField(38, "20");
      message.setField(40, "2");
      message.setField(44, side == "1" ? "90.00" : "110.00");
    }
    FIX::Session::sendToTarget(message, session_);
    return name;
  }

  bool accepted(const std::string &name) {
    std::lock_guard<std::mutex> lock(mutex_);
    return orders_[name].accepted;
  }
  long rejects() {
    std::lock_guard<std::mutex> lock(mutex_);
    return rejects_;
  }
  long mass() {
    std::lock_guard<std::mutex> lock(mutex_);
    return mass_;
  }
  long states() {
    std::lock_guard<std::mutex> lock(mutex_);
    return states_;
  }
  void settle(const std::string &name) {
    std::lock_guard<std::mutex> lock(mutex_);
    orders_[name].accepted = true;
    note("accepted", name);
  }

  // Every order was accepted, and every one that does not rest is done.
  bool answered(std::string *missing) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto &order : orders_) {
      if (!order.second.accepted) {
        *missing = order.first;
        return false;
      }
    }
    return true;
  }

  void tell() {
    std::lock_guard<std::mutex> lock(mutex_);
    std::cout << orders_.size() << " orders, " << executions_.size() << " executions, " << again_
              << " sent again" << std::endl;
  }

  bool failed() { return failed_; }

 private:
  void fail(const std::string &why) {
    std::string line = why;
    for (char &c : line)
      if (c == '\x01') c = '|';
    std::cout << "FAIL " << line << std::endl;
    failed_ = true;
  }
  void note(const std::string &kind, const std::string &what) {
    notes_ << kind << ' ' << what << std::endl;
  }

  std::mutex mutex_;
  std::string path_;
  std::ofstream notes_;
  FIX::SessionID session_;
  bool on_ = false;
  bool failed_ = false;
  std::map<std::string, Order> orders_;
  std::set<std::string> executions_;
  long reports_ = 0, again_ = 0, rejects_ = 0, mass_ = 0, states_ = 0;
};

bool wait(int seconds, const std::function<bool()> &what) {
  for (int n = 0; n < seconds * 100; ++n) {
    if (what()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  std::string config = argv[1], mode = argv[2];
  int count = argc > 3 ? std::atoi(argv[3]) : 0;
  try {
    FIX::SessionSettings settings(config);
    Peer peer(config + ".notes");
    FIX::FileStoreFactory store(settings);
    FIX::FileLogFactory log(settings);
    FIX::SocketInitiator initiator(peer, store, settings, log);
    initiator.start();
    if (!wait(20, [&] { return peer.on(); })) {
      std::cout << "FAIL no logon" << std::endl;
      _exit(1);
    }
    for (int n = 0; n < count; ++n) {
      peer.send(n, n % 3 != 0);
      if (mode == "break" && n == count / 2) {
        // Some answers are under way, some were heard.
        _exit(0);
      }
      if (n % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::string missing;
    if (!wait(20, [&] { return peer.answered(&missing); })) {
      std::cout << "FAIL no answer to " << missing << std::endl;
      _exit(1);
    }
    if (mode == "trade") {
      auto must = [&](const std::string &what, const std::function<bool()> &done) {
        if (wait(20, done)) return;
        std::cout << "FAIL no answer to " << what << std::endl;
        _exit(1);
      };
      std::string order = peer.resting();
      if (!order.empty()) {
        std::string replaced = peer.ask("G", order);
        must("a replace", [&] { return peer.accepted(replaced); });
        long states = peer.states();
        peer.ask("H", replaced);
        must("a status request", [&] { return peer.states() > states; });
        std::string canceled = peer.ask("F", replaced);
        must("a cancel", [&] { return peer.accepted(canceled); });
      }
      long rejects = peer.rejects();
      std::string nobody = peer.ask("F", "NOBODY");
      must("a cancel of nothing", [&] { return peer.rejects() > rejects; });
      if (settings.get().getString("MassCancel") == "Y") {
        std::string all = peer.ask("q", "");
        must("a mass cancel", [&] { return peer.mass() > 0; });
        peer.settle(all);
      }
    }
    peer.tell();
    initiator.stop();
    return peer.failed() ? 1 : 0;
  } catch (std::exception &error) {
    std::cout << "FAIL " << error.what() << std::endl;
    return 1;
  }
}
