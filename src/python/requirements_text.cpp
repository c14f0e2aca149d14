#include "python/requirements_text.h"

#include <optional>

#include "base/text.h"

namespace kist::python {
namespace {

// UTF-16 with its mark, as some editors write, to UTF-8. Bytes that are not UTF-16 give nullopt.
std::optional<std::string> utf8_of_utf16(std::string_view bytes, bool big) {
  std::string out;
  const auto unit = [&](size_t i) {
    const auto a = static_cast<unsigned char>(bytes[i]);
    const auto b = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<uint32_t>(big ? a << 8 | b : b << 8 | a);
  };
  if (bytes.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    uint32_t point = unit(i);
    if (point >= 0xD800 && point < 0xDC00) {
      i += 2;
      if (i >= bytes.size() || unit(i) < 0xDC00 || unit(i) > 0xDFFF) return std::nullopt;
      point = 0x10000 + ((point - 0xD800) << 10) + (unit(i) - 0xDC00);
    } else if (point >= 0xDC00 && point < 0xE000) {
      return std::nullopt;
    }
    const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
      put(point);
      continue;
    }
    if (point < 0x800) {
      put(0xC0 | point >> 6);
    } else {
      if (point < 0x10000) {
        put(0xE0 | point >> 12);
      } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
      }
      put(0x80 | (point >> 6 & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }
  return out;
}

// Where a comment starts: a '#' at the line's start or after white space.
size_t comment_at(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i)
    if (line[i] == '#' && (i == 0 || trim(line.substr(i - 1, 1)).empty())) return i;
  return line.size();
}

}  // namespace

Result<std::string> decode_requirements(std::string bytes, const std::string& path) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return bytes.substr(3);
  const bool big = bytes.starts_with("\xFE\xFF");
  if (big || bytes.starts_with("\xFF\xFE")) {
    if (auto text = utf8_of_utf16(std::string_view(bytes).substr(2), big)) return std::move(*text);
  } else if (is_valid_utf8(bytes)) {
    return bytes;
  }
  return Error(Code::invalid, "{}: is neither UTF-8 nor UTF-16", printable(path))
      .hint(fmt::format("convert it: `iconv -f latin1 -t utf-8 {0} -o {0}`", shell_quote(path)));
}

std::vector<RequirementsLine> logical_lines(std::string_view text) {
  std::vector<RequirementsLine> out;
  std::string joined;
  uint32_t first = 0;
  uint32_t number = 0;
  const auto finish = [&](std::string_view last) {
    joined += last;
    const std::string_view line = trim(std::string_view(joined).substr(0, comment_at(joined)));
    if (!line.empty()) out.push_back({first, std::string(line)});
    joined.clear();
  };
  for (std::string_view line : lines(text)) {
    ++number;
    if (joined.empty()) first = number;
    const bool comment = comment_at(line) == line.size() - trim(line).size() &&
                         !trim(line).empty() && trim(line).front() == '#';
    if (line.ends_with('\\') && !comment) {
      line.remove_suffix(1);
      joined += line;
      if (joined.empty()) joined.push_back(' ');  // Remembers that a line has begun.
      continue;
    }
    // A comment ends what was continued, as in pip; the space makes it one wherever it stands.
    if (comment) joined.push_back(' ');
    finish(line);
  }
  if (!joined.empty()) finish("");
  return out;
}

std::vector<std::string> shell_words(std::string_view text) {
  std::vector<std::string> out;
  std::optional<std::string> word;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      if (word) out.push_back(std::move(*word));
      word.reset();
      continue;
    }
    if (!word) word.emplace();
    if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (quote != 0 && c == quote)
      quote = 0;
    else if (c == '\\' && quote != '\'' && i + 1 < text.size())
      *word += text[++i];
    else
      *word += c;
  }
  if (word) out.push_back(std::move(*word));
  return out;
}

}  // namespace kist::python
