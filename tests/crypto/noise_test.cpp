// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/noise.hpp>

#include "vectors.hpp"

#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/random.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <type_traits>

namespace lanloom::crypto {
namespace {

using namespace test;

constexpr std::string_view protocol = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";

static_assert(!std::is_copy_constructible_v<noise_initiator> && !std::is_copy_constructible_v<noise_responder>);
static_assert(!std::is_copy_constructible_v<symmetric_state> && !std::is_copy_constructible_v<noise_result>);
static_assert(std::is_nothrow_move_constructible_v<noise_initiator>);

struct message_1 {
  std::array<std::uint8_t, 32> e{};
  std::array<std::uint8_t, 48> sealed_static{};
  bytes sealed_payload;

  explicit message_1(std::size_t payload_size) : sealed_payload(payload_size + tag_size) {}
  explicit message_1(const bytes& whole) : sealed_payload(whole.begin() + 80, whole.end()) {
    std::copy_n(whole.begin(), e.size(), e.begin());
    std::copy_n(whole.begin() + 32, sealed_static.size(), sealed_static.begin());
  }
  [[nodiscard]] bytes whole() const { return copy_of(e) + copy_of(sealed_static) + sealed_payload; }
};

struct message_2 {
  std::array<std::uint8_t, 32> e{};
  bytes sealed_payload;

  explicit message_2(std::size_t payload_size) : sealed_payload(payload_size + tag_size) {}
  explicit message_2(const bytes& whole) : sealed_payload(whole.begin() + 32, whole.end()) {
    std::copy_n(whole.begin(), e.size(), e.begin());
  }
  [[nodiscard]] bytes whole() const { return copy_of(e) + sealed_payload; }
};

[[nodiscard]] bool write(noise_initiator& side, key_pair ephemeral, const bytes& payload, message_1& to) {
  return side.write_message_1(std::move(ephemeral), payload, to.e, to.sealed_static, to.sealed_payload);
}
[[nodiscard]] bool write(noise_responder& side, key_pair ephemeral, const secret<32>& psk, const bytes& payload,
                         message_2& to) {
  return side.write_message_2(std::move(ephemeral), psk, payload, to.e, to.sealed_payload);
}
// The payload, or nothing when it is refused.
[[nodiscard]] std::optional<bytes> read(noise_initiator& side, const secret<32>& psk, const message_2& from) {
  bytes payload(std::max(from.sealed_payload.size(), tag_size) - tag_size);
  if (!side.read_message_2(psk, from.e, from.sealed_payload, payload)) return std::nullopt;
  return payload;
}
[[nodiscard]] std::optional<bytes> read_payload(noise_responder& side, const message_1& from) {
  bytes payload(std::max(from.sealed_payload.size(), tag_size) - tag_size);
  if (!side.read_payload(from.sealed_payload, payload)) return std::nullopt;
  return payload;
}

// Where reading message 1 ends.
enum class refusal { none, at_static, at_payload };
[[nodiscard]] refusal read_message_1(const key_pair& local, const bytes& prologue, const message_1& from) {
  noise_responder side(local, prologue);
  public_key remote;
  if (!side.read_static(from.e, from.sealed_static, remote)) return refusal::at_static;
  return read_payload(side, from) ? refusal::none : refusal::at_payload;
}

// Two hosts with fixed keys.
struct hosts {
  random source{11};
  key_pair a = make_key_pair(source), b = make_key_pair(source);
  secret<32> psk = secret_of(counting(32, 50));
  bytes prologue = counting(34);
};

[[nodiscard]] bytes flipped(bytes whole, std::size_t bit) {
  whole[bit / 8] = static_cast<std::uint8_t>(whole[bit / 8] ^ (1U << bit % 8));
  return whole;
}

// Transport messages of a vector, from the third message on; sent in turn, the initiator first.
void check_transport(const nlohmann::json& messages, const noise_result& keys) {
  const aead_key k1(suite::chacha20_poly1305, keys.k1), k2(suite::chacha20_poly1305, keys.k2);
  for (std::size_t i = 2; i < messages.size(); ++i) {
    const aead_key& key = i % 2 == 0 ? k1 : k2;
    const std::uint64_t counter = (i - 2) / 2;
    const bytes plain = unhex(messages[i]["payload"]);
    bytes sealed(plain.size() + tag_size);
    key.seal(1, [&](std::size_t) noexcept { return aead_key::message{counter, {}, plain, sealed.data()}; });
    CHECK(sealed == unhex(messages[i]["ciphertext"]));
    CHECK(key.open(counter, {}, sealed));
    sealed.resize(plain.size());
    CHECK(sealed == plain);
  }
}

void run_as_initiator(const nlohmann::json& v) {
  const bytes expected = unhex(v["messages"][0]["ciphertext"]), payload = unhex(v["messages"][0]["payload"]);
  noise_initiator side(pair_of(unhex(v["init_static"])), public_of(unhex(v["init_remote_static"])),
                       unhex(v["init_prologue"]));
  message_1 first(payload.size());
  REQUIRE(write(side, pair_of(unhex(v["init_ephemeral"])), payload, first));
  CHECK(first.whole() == expected);
  const auto answer =
      read(side, secret_of(unhex(v["init_psks"].at(0))), message_2(unhex(v["messages"][1]["ciphertext"])));
  REQUIRE(answer);
  CHECK(*answer == unhex(v["messages"][1]["payload"]));
  noise_result keys;
  side.split(keys);
  CHECK(copy_of(keys.hash) == unhex(v["handshake_hash"]));
  check_transport(v["messages"], keys);
}

void run_as_responder(const nlohmann::json& v) {
  const message_1 first(unhex(v["messages"][0]["ciphertext"]));
  noise_responder side(pair_of(unhex(v["resp_static"])), unhex(v["resp_prologue"]));
  public_key remote;
  REQUIRE(side.read_static(first.e, first.sealed_static, remote));
  CHECK(remote == pair_of(unhex(v["init_static"])).public_half);
  const auto received = read_payload(side, first);
  REQUIRE(received);
  CHECK(*received == unhex(v["messages"][0]["payload"]));
  const bytes payload = unhex(v["messages"][1]["payload"]);
  message_2 second(payload.size());
  REQUIRE(write(side, pair_of(unhex(v["resp_ephemeral"])), secret_of(unhex(v["resp_psks"].at(0))), payload, second));
  CHECK(second.whole() == unhex(v["messages"][1]["ciphertext"]));
  noise_result keys;
  side.split(keys);
  CHECK(copy_of(keys.hash) == unhex(v["handshake_hash"]));
  check_transport(v["messages"], keys);
}

TEST_CASE("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b: published vectors, both roles") {
  int cases = 0;
  const auto file = vectors("noise_cacophony_25519.json");
  for (const auto& v : file["vectors"]) {
    if (v["protocol_name"] != protocol) continue;
    run_as_initiator(v);
    run_as_responder(v);
    ++cases;
  }
  CHECK(cases == 1);
  MESSAGE(std::string(protocol) << ": " << cases << " case(s), each as initiator and as responder");
}

TEST_CASE("two hosts agree on keys and transcript for payloads of any size") {
  for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 32, 40, 1064}) {
    hosts h;
    noise_initiator i(h.a, h.b.public_half, h.prologue);
    noise_responder r(h.b, h.prologue);
    message_1 first(size);
    REQUIRE(write(i, make_key_pair(h.source), counting(size), first));
    public_key remote;
    REQUIRE(r.read_static(first.e, first.sealed_static, remote));
    CHECK(remote == h.a.public_half);
    CHECK(read_payload(r, first) == counting(size));
    message_2 second(size);
    REQUIRE(write(r, make_key_pair(h.source), h.psk, counting(size, 7), second));
    CHECK(read(i, h.psk, second) == counting(size, 7));
    noise_result of_i, of_r;
    i.split(of_i);
    r.split(of_r);
    CHECK(copy_of(of_i.k1.view()) == copy_of(of_r.k1.view()));
    CHECK(copy_of(of_i.k2.view()) == copy_of(of_r.k2.view()));
    CHECK(copy_of(of_i.k1.view()) != copy_of(of_i.k2.view()));
    CHECK(of_i.hash == of_r.hash);
  }
}

TEST_CASE("message 1: any bit flipped, any byte cut, is refused where it belongs") {
  hosts h;
  noise_initiator i(h.a, h.b.public_half, h.prologue);
  message_1 first(32);
  REQUIRE(write(i, make_key_pair(h.source), counting(32), first));
  REQUIRE(read_message_1(h.b, h.prologue, first) == refusal::none);
  const bytes whole = first.whole();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    const refusal expected = bit < std::size_t{80} * 8 ? refusal::at_static : refusal::at_payload;
    CHECK(read_message_1(h.b, h.prologue, message_1(flipped(whole, bit))) == expected);
  }
  for (std::size_t size = 80; size < whole.size(); ++size) {
    const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(read_message_1(h.b, h.prologue, message_1(cut)) == refusal::at_payload);
  }
  CHECK(read_message_1(h.b, h.prologue, message_1(whole + bytes(1))) == refusal::at_payload);
}

TEST_CASE("message 1: wrong prologue, wrong responder, borrowed identity") {
  hosts h;
  const auto outcome = [&h](const key_pair& initiator, const public_key& believed, const bytes& prologue) {
    noise_initiator i(initiator, believed, prologue);
    message_1 first(32);
    REQUIRE(write(i, make_key_pair(h.source), counting(32), first));
    return read_message_1(h.b, h.prologue, first);
  };
  CHECK(outcome(h.a, h.b.public_half, h.prologue) == refusal::none);
  CHECK(outcome(h.a, h.b.public_half, counting(33)) == refusal::at_static);
  CHECK(outcome(h.a, h.a.public_half, h.prologue) == refusal::at_static);
  // Who names another's public key as his own gets as far as being looked up, not further.
  const key_pair borrowed{make_key_pair(h.source).secret_half, h.a.public_half};
  CHECK(outcome(borrowed, h.b.public_half, h.prologue) == refusal::at_payload);
}

TEST_CASE("message 2: forgeries are refused and do not destroy the handshake they answer") {
  hosts h;
  noise_initiator i(h.a, h.b.public_half, h.prologue);
  message_1 first(0);
  REQUIRE(write(i, make_key_pair(h.source), {}, first));
  noise_responder r(h.b, h.prologue);
  public_key remote;
  REQUIRE(r.read_static(first.e, first.sealed_static, remote));
  REQUIRE(read_payload(r, first));
  message_2 second(8);
  REQUIRE(write(r, make_key_pair(h.source), h.psk, counting(8), second));

  const bytes whole = second.whole();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    CHECK_FALSE(read(i, h.psk, message_2(flipped(whole, bit))));
  }
  for (std::size_t size = 32; size < whole.size(); ++size) {
    CHECK_FALSE(read(i, h.psk, message_2(bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)))));
  }
  CHECK_FALSE(read(i, h.psk, message_2(whole + bytes(1))));
  CHECK_FALSE(read(i, secret<32>(), second));
  CHECK_FALSE(read(i, secret_of(counting(32, 51)), second));
  bytes too_small(7);
  CHECK_FALSE(i.read_message_2(h.psk, second.e, second.sealed_payload, too_small));

  CHECK(read(i, h.psk, second) == counting(8));
  noise_result of_i, of_r;
  i.split(of_i);
  r.split(of_r);
  CHECK(copy_of(of_i.k1.view()) == copy_of(of_r.k1.view()));
  CHECK(of_i.hash == of_r.hash);
}

// Whoever sends a low-order point knows the DH result, zero, without any private key: these messages are right in every
// other respect.
TEST_CASE("low-order public keys end the handshake at the step that uses them") {
  hosts h;
  const bytes zero(32);
  int points = 0;
  const auto file = vectors("wycheproof_x25519_test.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& v : group["tests"]) {
      if (unhex(v["shared"]) != zero) continue;
      const public_key low = public_of(unhex(v["public"]));
      CAPTURE(v["tcId"].get<int>());
      ++points;

      {  // a responder configured with it
        noise_initiator i(h.a, low, h.prologue);
        message_1 first(0);
        CHECK_FALSE(write(i, make_key_pair(h.source), {}, first));
      }
      const auto started = [&h](const public_key& e) {
        symmetric_state state{protocol};
        state.mix_hash(h.prologue);
        state.mix_hash(h.b.public_half.bytes);
        state.mix_hash(e.bytes);
        state.mix_key(e.bytes);
        return state;
      };
      {  // the initiator's e
        symmetric_state state = started(low);
        message_1 first(0);
        first.e = low.bytes;
        state.mix_key(zero);  // es
        state.encrypt_and_hash(h.a.public_half.bytes, first.sealed_static);
        CHECK(read_message_1(h.b, h.prologue, first) == refusal::at_static);
      }
      {  // the initiator's static key
        const key_pair e = make_key_pair(h.source);
        symmetric_state state = started(e.public_half);
        message_1 first(0);
        first.e = e.public_half.bytes;
        secret<32> es;
        REQUIRE(diffie_hellman(e.secret_half, h.b.public_half, es));
        state.mix_key(es.view());
        state.encrypt_and_hash(low.bytes, first.sealed_static);
        state.mix_key(zero);  // ss
        state.encrypt_and_hash({}, first.sealed_payload);
        CHECK(read_message_1(h.b, h.prologue, first) == refusal::at_payload);
      }
      {  // the responder's e
        const key_pair e = make_key_pair(h.source);
        noise_initiator i(h.a, h.b.public_half, h.prologue);
        message_1 first(0);
        REQUIRE(write(i, e.clone(), {}, first));
        symmetric_state state = started(e.public_half);
        secret<32> es, ss;
        REQUIRE(diffie_hellman(h.b.secret_half, e.public_half, es));
        REQUIRE(diffie_hellman(h.b.secret_half, h.a.public_half, ss));
        std::array<std::uint8_t, 32> initiator;
        state.mix_key(es.view());
        REQUIRE(state.decrypt_and_hash(first.sealed_static, initiator));
        state.mix_key(ss.view());
        REQUIRE(state.decrypt_and_hash(first.sealed_payload, {}));
        message_2 second(0);
        second.e = low.bytes;
        state.mix_hash(low.bytes);
        state.mix_key(low.bytes);
        state.mix_key(zero);  // ee
        state.mix_key(zero);  // se
        state.mix_key_and_hash(h.psk.view());
        state.encrypt_and_hash({}, second.sealed_payload);
        CHECK_FALSE(read(i, h.psk, second));
      }
    }
  }
  CHECK(points == 31);
}

TEST_CASE("the symmetric state refuses what does not fit and stays as it was") {
  symmetric_state sender{"a name"}, receiver{"a name"};
  sender.mix_key(counting(32));
  receiver.mix_key(counting(32));
  bytes sealed(4 + tag_size), plain(4);
  sender.encrypt_and_hash(counting(4), sealed);
  CHECK_FALSE(receiver.decrypt_and_hash(bytes_view(sealed).first(15), {}));
  CHECK_FALSE(receiver.decrypt_and_hash({}, {}));
  CHECK_FALSE(receiver.decrypt_and_hash(sealed, bytes_span(plain).first(3)));
  CHECK(receiver.decrypt_and_hash(sealed, plain));
  CHECK(plain == counting(4));
  // The next message has the next nonce and the new hash.
  bytes again(4 + tag_size);
  sender.encrypt_and_hash(counting(4), again);
  CHECK(again != sealed);
  CHECK(receiver.decrypt_and_hash(again, plain));
}

}  // namespace
}  // namespace lanloom::crypto
