#include "python/record.h"

#include <algorithm>

#include "base/base64.h"
#include "base/text.h"

namespace kist::python {
namespace {

constexpr size_t kMaxFields = 3;

// One line of CSV at a time; a quoted field may hold line breaks.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  Result<void> read_line(std::vector<std::string>& fields) {
    fields.assign(1, "");
    ++line_;
    while (!rest_.empty()) {
      const char c = take();
      if (c == '\n') return {};
      if (c == '\r') {
        if (rest_.starts_with('\n')) take();
        return {};
      }
      if (c == ',') {
        if (fields.size() == kMaxFields)
          return Error(Code::invalid, "line {} has more than {} fields", line_, kMaxFields);
        fields.emplace_back();
      } else if (c == '"' && fields.back().empty()) {
        TRY(read_quoted(fields.back()));
      } else {
        fields.back() += c;
      }
    }
    return {};
  }

  size_t line() const { return line_; }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  Result<void> read_quoted(std::string& field) {
    while (!rest_.empty()) {
      const char c = take();
      if (c != '"') {
        field += c;
      } else if (rest_.starts_with('"')) {
        field += take();
      } else {
        return {};
      }
    }
    return Error(Code::invalid, "line {} has a quote that does not end", line_);
  }

  std::string_view rest_;
  size_t line_ = 0;
};

// Quotes as csv.QUOTE_MINIMAL does.
void append_field(std::string& out, std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string record_hash(const oci::Digest& digest) {
  const auto& bytes = digest.bytes();
  return "sha256=" + encode_base64_url({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<std::vector<RecordRow>> parse_record(std::string_view text) {
  CsvReader reader(text);
  std::vector<RecordRow> rows;
  std::vector<std::string> fields;
  while (!reader.at_end()) {
    TRY(reader.read_line(fields));
    if (fields.size() == 1 && fields[0].empty()) continue;
    RecordRow row;
    row.path = fields[0].substr(std::min(fields[0].find_first_not_of('/'), fields[0].size()));
    if (fields.size() > 1) row.hash = std::move(fields[1]);
    if (fields.size() > 2 && !fields[2].empty()) {
      row.size_bytes = parse_number(fields[2]);
      if (!row.size_bytes)
        return Error(Code::invalid, "line {} has the size '{}', which is no number", reader.line(),
                     printable(fields[2]));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string write_record(std::vector<RecordRow> rows) {
  const auto by_path = [](const RecordRow& a, const RecordRow& b) { return a.path < b.path; };
  const auto same_path = [](const RecordRow& a, const RecordRow& b) { return a.path == b.path; };
  std::stable_sort(rows.begin(), rows.end(), by_path);
  rows.erase(std::unique(rows.begin(), rows.end(), same_path), rows.end());
  std::string out;
  for (const RecordRow& row : rows) {
    append_field(out, row.path);
    out += ',';
    append_field(out, row.hash);
    out += ',';
    if (row.size_bytes) out += std::to_string(*row.size_bytes);
    out += '\n';
  }
  return out;
}

}  // namespace kist::python
