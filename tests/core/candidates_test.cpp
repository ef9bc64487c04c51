// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/candidates.hpp>

#include <string>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;

namespace {
endpoint at(const char* text) {
  const auto e = endpoint::parse(text);
  REQUIRE(e);
  return *e;
}

std::vector<endpoint> list(std::initializer_list<const char*> texts) {
  std::vector<endpoint> all;
  for (const char* one : texts) all.push_back(at(one));
  return all;
}

std::string text(const candidates& c) {
  std::string all;
  for (const endpoint& one : c.all()) all += (all.empty() ? "" : " ") + to_string(one);
  return all;
}

// The calls of one round.
std::string round(const candidates& c, const std::optional<endpoint>& known) {
  std::string all;
  for (std::size_t turn = 0; turn < 20; ++turn) {
    const auto call = c.at(turn, known);
    all += (all.empty() ? "" : " ") + to_string(call.to);
    if (call.last) return all;
  }
  return "no end";
}
}  // namespace

TEST_CASE("candidates: the families alternate, and the first one's begins") {
  CHECK(text(candidates(list({"[::1]:1", "[::2]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}))) ==
        "[::1]:1 192.0.2.1:1 [::2]:1 192.0.2.2:1 192.0.2.3:1");
  CHECK(text(candidates(list({"192.0.2.1:1", "192.0.2.2:1", "[::1]:1"}))) == "192.0.2.1:1 [::1]:1 192.0.2.2:1");
  CHECK(text(candidates(list({"192.0.2.1:1", "192.0.2.2:1"}))) == "192.0.2.1:1 192.0.2.2:1");
  CHECK(candidates(std::vector<endpoint>{}).empty());
}

TEST_CASE("candidates: none twice, and eight at most") {
  CHECK(text(candidates(list({"192.0.2.1:1", "[::1]:1", "192.0.2.1:1", "[::1]:1", "192.0.2.1:2"}))) ==
        "192.0.2.1:1 [::1]:1 192.0.2.1:2");
  std::vector<endpoint> many;
  for (std::uint8_t i = 1; i <= 20; ++i) many.push_back(endpoint::v4({192, 0, 2, i}, 1));
  many.push_back(at("[::1]:1"));
  const candidates c(many);
  REQUIRE(c.all().size() == candidates::most);
  CHECK(c.has(at("[::1]:1")));  // one family does not push the other out
  CHECK(c.has(at("192.0.2.7:1")));
  CHECK_FALSE(c.has(at("192.0.2.8:1")));
}

TEST_CASE("candidates: a round begins where the peer was last, and calls each address once") {
  const candidates c(list({"[::1]:1", "192.0.2.1:1", "[::2]:1"}));
  CHECK(round(c, std::nullopt) == "[::1]:1 192.0.2.1:1 [::2]:1");
  CHECK(round(c, at("[::1]:1")) == "[::1]:1 192.0.2.1:1 [::2]:1");
  CHECK(round(c, at("192.0.2.1:1")) == "192.0.2.1:1 [::1]:1 [::2]:1");
  CHECK(round(c, at("[::2]:1")) == "[::2]:1 [::1]:1 192.0.2.1:1");
  CHECK(round(c, at("198.51.100.9:7")) == "198.51.100.9:7 [::1]:1 192.0.2.1:1 [::2]:1");
  CHECK(round({}, at("198.51.100.9:7")) == "198.51.100.9:7");
  CHECK(round(at("192.0.2.1:1"), std::nullopt) == "192.0.2.1:1");
  CHECK(round(at("192.0.2.1:1"), at("192.0.2.1:1")) == "192.0.2.1:1");
  CHECK(c.at(99, at("[::1]:1")).last);  // the list became shorter meanwhile
}
