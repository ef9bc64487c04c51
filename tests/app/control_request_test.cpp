// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <lanloom/app/control_request.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/write.hpp>

#include <sstream>

using namespace lanloom::app;
namespace http = boost::beast::http;

namespace {

boost::beast::error_code parse(control_parser& parser, std::string_view text) {
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(text.data(), text.size()), error);
  return error;
}

control_answer answer(std::string_view text) {
  control_parser parser;
  REQUIRE(!parse(parser, text));
  REQUIRE(parser.is_header_done());
  REQUIRE(!parser.announces_body());
  return answer_to(parser.get(), [](std::string_view path) -> std::optional<std::string> {
    if (path == "/known") return "{}";
    return std::nullopt;
  });
}

std::string header_of(std::size_t size) {
  std::string text = "GET /known HTTP/1.1\r\nx: ";
  text.append(size - text.size() - 4, 'a');
  return text + "\r\n\r\n";
}

}  // namespace

TEST_CASE("control_request: a known path is answered with its text, once, and the connection ends") {
  const auto a = answer("GET /known HTTP/1.1\r\nHost: here\r\n\r\n");
  CHECK(a.result() == http::status::ok);
  CHECK(a[http::field::content_type] == "application/json");
  CHECK(a[http::field::content_length] == "2");
  CHECK(!a.keep_alive());
  CHECK(a.body() == "{}");
  std::ostringstream text;
  text << a;
  CHECK(text.str().starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer("GET /known HTTP/1.0\r\n\r\n").version() == 10);
}

TEST_CASE("control_request: another path is 404, and a target is taken as it is") {
  for (const char* target : {"/", "/known/", "/known?x", "/KNOWN", "/%6bnown", "http://here/known", "*"}) {
    CAPTURE(target);
    const auto a = answer("GET " + std::string(target) + " HTTP/1.1\r\n\r\n");
    CHECK(a.result() == http::status::not_found);
    CHECK(a.body().empty());
  }
}

TEST_CASE("control_request: another method is 405, on known paths too") {
  for (const char* method : {"POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "FROB"}) {
    CAPTURE(method);
    const auto a = answer(std::string(method) + " /known HTTP/1.1\r\n\r\n");
    CHECK(a.result() == http::status::method_not_allowed);
    CHECK(a[http::field::allow] == "GET");
  }
}

TEST_CASE("control_request: 8 KiB of header pass, more does not") {
  control_parser fits;
  CHECK(!parse(fits, header_of(control_parser::max_header)));
  CHECK(fits.is_header_done());
  control_parser too_long;
  CHECK(parse(too_long, header_of(control_parser::max_header + 64)) == http::error::header_limit);
}

TEST_CASE("control_request: a body is refused before it comes") {
  control_parser known_size;
  CHECK(parse(known_size, "GET /known HTTP/1.1\r\nContent-Length: 1\r\n\r\n") == http::error::body_limit);
  control_parser huge;
  CHECK(parse(huge, "GET /known HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n") == http::error::body_limit);
  control_parser chunked;
  CHECK(!parse(chunked, "GET /known HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"));
  CHECK(chunked.announces_body());
  control_parser none;
  CHECK(!parse(none, "GET /known HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
  CHECK(!none.announces_body());
}
