// SPDX-License-Identifier: Apache-2.0
// control_fuzz.cpp - any bytes as a request on the control socket, in pieces as a stream brings them.
//
// The first byte is the size of the pieces, the rest is what the client sends. What is accepted is answered as the
// product answers; the answer is one of its three, it can be written, and only a GET reaches the source.
// Seeds: corpus/control.
#include <lanloom/app/control_request.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/write.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <sstream>

namespace {

namespace http = boost::beast::http;
using namespace lanloom::app;

// As http::async_read_header does it: what the parser leaves stays in the buffer, and more is read behind it.
bool read(control_parser& parser, boost::beast::flat_buffer& buffer, std::string_view bytes, std::size_t piece) {
  while (!bytes.empty() && !parser.is_header_done()) {
    const std::size_t size = std::min({piece, bytes.size(), buffer.max_size() - buffer.size()});
    if (size == 0) return false;
    buffer.commit(boost::asio::buffer_copy(buffer.prepare(size), boost::asio::buffer(bytes.data(), size)));
    bytes.remove_prefix(size);
    boost::beast::error_code error;
    const std::size_t used = parser.put(buffer.data(), error);
    if (error && error != http::error::need_more) return false;
    buffer.consume(used);
  }
  return parser.is_header_done() && !parser.announces_body();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  control_parser parser;
  boost::beast::flat_buffer buffer(control_parser::max_header);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (!read(parser, buffer, bytes, std::size_t{1} + data[0])) return 0;

  bool asked = false;
  const control_answer answer = answer_to(parser.get(), [&](std::string_view path) -> std::optional<std::string> {
    asked = true;
    if (path == "/v1/status" || path == "/v1/fdb") return "{}";
    return std::nullopt;
  });
  if (asked != (parser.get().method() == http::verb::get)) std::abort();
  const bool known = asked && (parser.get().target() == "/v1/status" || parser.get().target() == "/v1/fdb");
  const auto expected = known ? http::status::ok : asked ? http::status::not_found : http::status::method_not_allowed;
  if (answer.result() != expected || answer.body().size() != (known ? 2U : 0U)) std::abort();
  std::ostringstream text;
  text << answer;
  if (text.str().find("\r\n\r\n") == std::string::npos) std::abort();
  return 0;
}
