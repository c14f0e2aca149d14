#include "environment/interpreter.h"

#include <elf.h>

#include "base/text.h"
#include "environment/suite.h"
#include "http/address.h"
#include "http/client.h"
#include "os/mapped_file.h"
#include "python/versions.h"

namespace kist::environment {
namespace {

constexpr size_t kMaxArchiveBytes = 2ull << 30;
constexpr const char* kFactsFile = "facts";
constexpr const char* kMeta = "-meta";

std::string shown(const python::LockedInterpreter& interpreter) {
  return printable(interpreter.url.empty() ? interpreter.path : http::redact(interpreter.url));
}

Result<std::string> url_of(const python::LockedInterpreter& interpreter, const std::string& folder) {
  if (!interpreter.url.empty()) return interpreter.url;
  const std::string path =
      interpreter.path.starts_with("/") ? interpreter.path : os::join(folder, interpreter.path);
  if (!os::exists(path))
    return Error(Code::not_found, "the interpreter's archive '{}' does not exist", printable(path))
        .hint("put it there, or change `interpreter` under [environment] in kist.toml");
  return http::file_url(path);
}

Result<std::vector<store::Tree>> install(const std::string& path, store::Transaction& tx) {
  const os::MappedFile file = TRY(os::MappedFile::open(path, kMaxArchiveBytes));
  UnpackedInterpreter unpacked = TRY(unpack_interpreter(file.bytes(), tx));
  store::TreeBuilder meta(tx);
  TRY(meta.file(kFactsFile, 0644, encode(unpacked.facts)));
  std::vector<store::Tree> trees;
  trees.push_back(std::move(unpacked.files));
  trees.push_back({});
  trees.back() = TRY(std::move(meta).finish());
  return trees;
}

std::string machine_name(uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "linux/amd64";
    case EM_AARCH64: return "linux/arm64";
    default: return fmt::format("a machine that kist does not know (ELF number {})", machine);
  }
}

Result<void> check_platform(const python::LockedInterpreter& interpreter, const InterpreterFacts& facts,
                            const std::string& platform) {
  const std::string machine = machine_name(facts.machine);
  if (machine == platform) return {};
  return Error(Code::invalid, "'{}' is for {}, want {}", shown(interpreter), machine, platform)
      .hint(fmt::format("name one for each platform: `[environment.interpreter]` and below it "
                        "`\"{}\" = {{ url = …, sha256 = … }}`", platform));
}

std::string name_of(const python::LockedInterpreter& interpreter) {
  return "interpreter/" + interpreter_key(interpreter.sha256);
}

Result<InterpreterFacts> read_facts(const Context& context, const store::Tree& meta) {
  const store::Entry* entry = meta.find(kFactsFile);
  if (entry == nullptr || entry->kind != store::Kind::file)
    return Error(Code::corrupt, "there are no facts").hint("`kist fsck --repair`");
  const std::string text = TRY(context.store.read_object(*entry));
  return decode_interpreter_facts(text);
}

bool is_of(const std::string& full, const std::string& minor) { return full.starts_with(minor + "."); }

}  // namespace

Result<Piece> interpreter_piece(const Context& context, const python::LockedInterpreter& interpreter,
                                const std::string& folder) {
  Piece piece;
  piece.label = fmt::format("interpreter '{}'", printable(os::name_of(
                                interpreter.url.empty() ? interpreter.path : interpreter.url)));
  const std::string name = name_of(interpreter);
  piece.store_names = {name, name + kMeta};
  http::Download download;
  // A local archive that has gone is missed only when it is needed.
  auto url = url_of(interpreter, folder);
  if (!url) {
    for (const std::string& known : piece.store_names) {
      const auto tree = TRY(context.store.find(known));
      if (!tree) return std::move(url).error();
    }
  } else {
    download.urls = {*url};
  }
  download.sha256 = interpreter.sha256;
  download.size_bytes = interpreter.size_bytes;
  download.limit_bytes = kMaxArchiveBytes;
  download.path = os::join(context.cache("partial"), interpreter.sha256.hex());
  download.label = piece.label;
  piece.download = std::move(download);
  piece.install = [](const std::string& path, store::Transaction& tx) { return install(path, tx); };
  return piece;
}

Result<Interpreter> bring_interpreter(const Context& context,
                                      const python::LockedInterpreter& interpreter,
                                      const std::string& platform, const std::string& folder,
                                      store::Transaction& tx) {
  std::vector<Piece> pieces;
  Piece piece = TRY(interpreter_piece(context, interpreter, folder));
  pieces.push_back(std::move(piece));
  Gathered gathered = TRY(gather(context, pieces, tx, "fetched the interpreter:"));
  std::vector<store::Tree>& trees = gathered.trees.front();
  Interpreter out{.files = std::move(trees[0]), .facts = {}};
  out.facts = TRY(read_facts(context, trees[1]), "'{}'", pieces.front().store_names[1]);
  TRY(check_platform(interpreter, out.facts, platform));
  return out;
}

Result<std::optional<InterpreterFacts>> known_facts(const Context& context,
                                                    const python::LockedInterpreter& interpreter) {
  const auto digest = TRY(context.store.find(name_of(interpreter) + kMeta));
  if (!digest) return std::optional<InterpreterFacts>();
  const store::Tree meta = TRY(context.store.tree(*digest));
  InterpreterFacts facts = TRY(read_facts(context, meta));
  return std::optional(std::move(facts));
}

Result<std::optional<ChosenInterpreter>> choose_interpreter(const Context& context,
                                                            const InterpreterRequest& request,
                                                            store::Transaction& tx) {
  const python::LockedInterpreter* settings = request.inputs.settings.interpreter_for(request.platform);
  if (settings == nullptr) return std::optional<ChosenInterpreter>();
  const Interpreter interpreter =
      TRY(bring_interpreter(context, *settings, request.platform, request.project_folder, tx));
  ChosenInterpreter chosen{.locked = *settings,
                           .python = interpreter.facts.python,
                           .libraries = interpreter.facts.needed};
  const std::string named = version_in_name(settings->url.empty() ? settings->path : settings->url);
  if (is_of(named, chosen.python)) chosen.python = named;
  TRY(check_python(chosen.python, request.inputs));
  chosen.locked.size_bytes = interpreter.facts.size_bytes;
  const std::string& path = chosen.locked.path;
  if (!path.empty() && !path.starts_with("/") && request.lock_folder != request.project_folder)
    chosen.locked.path = os::join(request.project_folder, path);
  return std::optional(std::move(chosen));
}

std::string version_in_name(std::string_view url_or_path) {
  std::string_view name = os::name_of(url_or_path.substr(0, url_or_path.find_first_of("?#")));
  constexpr std::string_view kStart = "cpython-";
  const size_t at = name.find(kStart);
  if (at == std::string_view::npos) return {};
  name.remove_prefix(at + kStart.size());
  // In addresses "+" is often "%2B".
  const std::string version(name.substr(0, name.find_first_of("+-%")));
  const auto parsed = python::Version::parse(version);
  return parsed && parsed->release().size() == 3 ? version : std::string();
}

}  // namespace kist::environment
