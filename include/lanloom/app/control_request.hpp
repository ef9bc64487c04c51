// SPDX-License-Identifier: Apache-2.0
// control_request.hpp - what a request on the control socket may be, and what it is answered: HTTP without a socket.
//
// Apart from control_server, so that a fuzzer feeds the very parser that the product has. Process: node.
#pragma once

#include <lanloom/app/control.hpp>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstdint>

namespace lanloom::app {

// One request: header up to max_header, no body. Read the header only (http::async_read_header): the library's parser
// of chunked bodies (1.74) fails an assertion on some input, and nothing here needs it.
class control_parser : public boost::beast::http::request_parser<boost::beast::http::empty_body> {
 public:
  static constexpr std::uint32_t max_header = 8 * 1024;
  control_parser() {
    header_limit(max_header);
    body_limit(0);
  }
  // REQUIRES is_header_done(). Whether the client means to send more.
  [[nodiscard]] bool announces_body() const { return !is_done(); }
};

using control_request = boost::beast::http::request<boost::beast::http::empty_body>;
using control_answer = boost::beast::http::response<boost::beast::http::string_body>;

// 200 with what `source` says of the target, 404 when it says nothing, 405 for any method but GET.
[[nodiscard]] control_answer answer_to(const control_request& request, const control_source& source);

// 403, whatever is asked: of who is neither root nor in the control group.
[[nodiscard]] control_answer refusal_of(const control_request& request);

}  // namespace lanloom::app
