// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/config.hpp>
#include <lanloom/app/secret_file.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using namespace lanloom;
using namespace lanloom::app;

namespace {

constexpr std::string_view text = "c2VjcmV0IHRlc3Qga2V5IG9mIDMyIGJ5dGVzIGhlcmU=";
constexpr std::string_view bytes = "secret test key of 32 bytes here";

class scratch_directory {
 public:
  scratch_directory() { REQUIRE(::mkdtemp(path_) != nullptr); }
  ~scratch_directory() { std::filesystem::remove_all(path_); }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return std::string(path_) + "/" + name; }
  std::string write(const std::string& name, std::string_view content, ::mode_t mode = 0600) const {
    std::ofstream(path(name)) << content;
    REQUIRE(::chmod(path(name).c_str(), mode) == 0);
    return path(name);
  }

 private:
  char path_[32] = "/tmp/lanloom-secret-XXXXXX";
};

std::string refusal(const std::string& file, secret_kind kind = secret_kind::private_key) {
  try {
    (void)read_secret_file(file, kind);
  } catch (const secret_file_error& e) {
    return e.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a key file is read") {
  const scratch_directory d;
  for (const char* end : {"", "\n", "\r\n"}) {
    const auto key = read_secret_file(d.write("a.key", std::string(text) + end), secret_kind::private_key);
    CHECK(std::equal(key.view().begin(), key.view().end(), bytes.begin(), bytes.end()));
  }
  std::filesystem::create_symlink(d.path("a.key"), d.path("link.key"));
  CHECK(refusal(d.path("link.key")).empty());
  d.write("a.key", text, 0400);
  CHECK(refusal(d.path("a.key")).empty());
}

TEST_CASE("key files that are refused") {
  const scratch_directory d;
  const auto none = d.path("none.key");
  CHECK(refusal(none) == none + ": no such file; make it with `lanloom genkey -o " + none + "`");
  CHECK(refusal(none, secret_kind::shared_secret) ==
        none + ": no such file; make it with `(umask 077; lanloom genpsk > " + none + ")`");

  const auto file = d.write("a.key", text, 0644);
  CHECK(refusal(file) == file + ": others can read it (mode 0644); run chmod 600 " + file);
  for (const ::mode_t mode : {0610U, 0620U, 0640U, 0601U, 0602U, 0604U}) {
    d.write("a.key", text, mode);
    CHECK(refusal(file).starts_with(file + ": others can read it (mode 06"));
  }
  // The mode that counts is that of the file at the link's end.
  d.write("a.key", text, 0644);
  std::filesystem::create_symlink(file, d.path("link.key"));
  CHECK_FALSE(refusal(d.path("link.key")).empty());

  const auto cure = "; remove it, then make a new one with `lanloom genkey -o " + file + "`";
  d.write("a.key", "");
  CHECK(refusal(file) == file + ": it is empty" + cure);
  for (const std::string& bad :
       {std::string(text) + "\n\n", std::string(text) + "\n" + std::string(text), " " + std::string(text),
        std::string(43, '!') + "=", std::string("short"), std::string(4096, 'A')}) {
    d.write("a.key", bad);
    CHECK(refusal(file) == file + ": it is not one line of base64 of 32 bytes" + cure);
  }
  d.write("a.key", std::string(4097, 'A'));
  CHECK(refusal(file) == file + ": it is larger than 4 KiB, which no key is; name the key file");

  CHECK(refusal(d.path("")) == d.path("") + ": it is not a regular file; name the key file");
  REQUIRE(::mkfifo(d.path("fifo").c_str(), 0600) == 0);
  CHECK(refusal(d.path("fifo")) == d.path("fifo") + ": it is not a regular file; name the key file");
}

TEST_CASE("a key file of somebody else" * doctest::skip(::geteuid() != 0)) {
  const scratch_directory d;
  const auto file = d.write("a.key", text);
  REQUIRE(::chown(file.c_str(), 12345, 0) == 0);
  CHECK(refusal(file) == file + ": it belongs to user 12345; run chown 0 " + file);
}

TEST_CASE("the keys of a configuration") {
  crypto::initialise();
  const scratch_directory d;
  d.write("own.key", text);
  d.write("psk", text);
  const auto own = to_base64(crypto::derive_public(*crypto::parse_secret(text)));
  const std::string other = "beta/replace/with/its/public/key/0000000000=";
  const auto load = [&](const std::string& first_peer, const std::string& more) {
    std::ofstream(d.path("lan.toml")) << "[node]\nprivate_key = \"own.key\"\n[[peer]]\nname = \"b\"\npublic_key = \""
                                      << first_peer << "\"\n"
                                      << more;
    return load_keys(load_config(d.path("lan.toml"), "alpha"));
  };
  const auto refusal_of = [&](const std::string& first_peer, const std::string& more) -> std::string {
    try {
      (void)load(first_peer, more);
    } catch (const config_error& e) {
      return e.what();
    }
    return {};
  };

  const auto keys = load(other,
                         "[[peer]]\nname = \"c\"\npublic_key = "
                         "\"gamma/replace/with/its/public/key/000000000=\"\npreshared_key = \"psk\"\n");
  CHECK(to_base64(keys.own) == own);
  CHECK(std::equal(bytes.begin(), bytes.end(), keys.private_key.view().begin()));
  CHECK_FALSE(keys.network_secret);
  REQUIRE(keys.preshared_keys.size() == 2);
  CHECK_FALSE(keys.preshared_keys[0]);
  CHECK(keys.preshared_keys[1]);

  const auto at = d.path("lan.toml");
  CHECK(refusal_of(own, "") ==
        at + ":5:14: peer `b` has our own key; write the one that `lanloom pubkey` prints on that host");
  CHECK(refusal_of(other, "preshared_key = \"gone\"\n") ==
        at + ":6:17: " + d.path("gone") + ": no such file; make it with `(umask 077; lanloom genpsk > " +
            d.path("gone") + ")`");
  d.write("own.key", text, 0644);
  CHECK(refusal_of(other, "preshared_key = \"gone\"\n")
            .starts_with(at + ":2:15: " + d.path("own.key") + ": others can read it (mode 0644)"));
}
