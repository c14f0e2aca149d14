// libsolv is used as zypper and dnf use it, with its Debian semantics switched on. What it lacks
// against apt is added here in rounds: apt takes the first alternative of "a | b" when nothing else
// decides, and installs Recommends of what the user asked for but not of what was there before.
#include "debian/solver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

#include "base/text.h"
#include "os/files.h"

// libsolv is C and has a member called `requires`, a keyword since C++20.
#define requires solv_requires
extern "C" {
#include <solv/chksum.h>
#include <solv/evr.h>
#include <solv/pool.h>
#include <solv/poolarch.h>
#include <solv/repo.h>
#include <solv/repo_deb.h>
#include <solv/repo_solv.h>
#include <solv/repo_write.h>
#include <solv/solver.h>
#include <solv/transaction.h>
}
#undef requires

namespace kist::debian {
namespace {

constexpr int kMaxRounds = 40;
constexpr int kMaxProblems = 10;
constexpr int kCacheVersion = 1;

// libsolv's Queue with an owner.
struct IdQueue {
  ::Queue queue;
  IdQueue() { ::queue_init(&queue); }
  ~IdQueue() { ::queue_free(&queue); }
  IdQueue(const IdQueue&) = delete;
  IdQueue& operator=(const IdQueue&) = delete;
  void push(Id a, Id b) { ::queue_push2(&queue, a, b); }
  std::vector<Id> ids() const { return {queue.elements, queue.elements + queue.count}; }
};

struct FileCloser {
  void operator()(FILE* file) const { ::fclose(file); }
};
using File = std::unique_ptr<FILE, FileCloser>;
struct SolverFree {
  void operator()(::Solver* solver) const { ::solver_free(solver); }
};
using SolverHandle = std::unique_ptr<::Solver, SolverFree>;
struct TransactionFree {
  void operator()(::Transaction* transaction) const { ::transaction_free(transaction); }
};
using TransactionHandle = std::unique_ptr<::Transaction, TransactionFree>;

File memory_file(std::string& text) { return File(::fmemopen(text.data(), text.size(), "r")); }

bool load_cached(::Repo* repo, const std::string& path) {
  auto text = os::read_file(path, 1u << 30);
  if (!text || text->empty()) return false;
  const File file = memory_file(*text);
  return file && ::repo_add_solv(repo, file.get(), 0) == 0;
}

// What the cache keeps: all that decides and names, not the texts for people.
int keep_key(::Repo* repo, ::Repokey* key, void* data) {
  if (key->name == SOLVABLE_SUMMARY || key->name == SOLVABLE_DESCRIPTION ||
      key->name == SOLVABLE_URL || key->name == SOLVABLE_PACKAGER)
    return KEY_STORAGE_DROPPED;
  return ::repo_write_stdkeyfilter(repo, key, data);
}

// Best effort: without a cache the next lock is a second slower.
void save_cached(::Repo* repo, const std::string& path) {
  char* data = nullptr;
  size_t size = 0;
  File file(::open_memstream(&data, &size));
  if (!file) return;
  ::Repowriter* writer = ::repowriter_create(repo);
  ::repowriter_set_keyfilter(writer, keep_key, nullptr);
  const bool written = ::repowriter_write(writer, file.get()) == 0;
  ::repowriter_free(writer);
  file.reset();
  const std::unique_ptr<char, void (*)(void*)> owner(data, ::free);
  if (!written) return;
  const auto saved = os::write_file_atomically(path, std::string_view(data, size));
  static_cast<void>(saved);
}

// libsolv does not read the field Size. Its packages are in the order of the paragraphs, which is
// checked by name as we go.
Result<void> add_sizes(::Repo* repo, std::string_view text) {
  ::Repodata* data = ::repo_add_repodata(repo, 0);
  Id id = repo->start - 1;
  std::string_view name;
  for (const std::string_view line : lines(text)) {
    if (line.starts_with("Package: ")) {
      name = trim(line.substr(9));
      ++id;
      if (id >= repo->end || name != ::pool_id2str(repo->pool, repo->pool->solvables[id].name))
        return Error(Code::corrupt, "package index has '{}' out of order", printable(name));
    }
    if (!line.starts_with("Size: ") || name.empty()) continue;
    const auto size = parse_number(trim(line.substr(6)));
    if (!size)
      return Error(Code::corrupt, "package '{}' has the size '{}'", printable(name),
                   printable(line.substr(6)));
    ::repodata_set_num(data, id, SOLVABLE_DOWNLOADSIZE, *size);
  }
  ::repodata_internalize(data);
  return {};
}

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

struct Solver::State {
  ::Pool* pool = nullptr;
  std::vector<PackagesIndex> indexes;  // appdata of a repo is its index here plus one.
  ~State() { ::pool_free(pool); }

  ::Solvable* solvable(Id id) const { return pool->solvables + id; }
  std::string name_of(Id id) const { return ::pool_id2str(pool, solvable(id)->name); }
  std::string version_of(Id id) const { return ::pool_id2str(pool, solvable(id)->evr); }

  Result<void> load(const std::string& cache_dir);
  Result<Id> job_for(const std::string& package) const;
  Error unknown(const std::string& name) const;
  Result<LockedDeb> locked(Id id) const;
  Result<std::vector<Id>> run(const IdQueue& jobs, bool ordered) const;
  Error explain(::Solver* solver, int count) const;
  bool favor_first_alternatives(const std::vector<Id>& chosen, std::set<Id>& favored) const;
  void add_recommends(const std::vector<Id>& chosen, const std::set<Id>& reach,
                      std::set<Id>& weak) const;
  std::set<Id> reachable(const std::vector<Id>& chosen, const std::vector<std::string>& roots,
                         const std::set<Id>& weak) const;
};

Result<void> Solver::State::load(const std::string& cache_dir) {
  for (size_t i = 0; i < indexes.size(); ++i) {
    const PackagesIndex& index = indexes[i];
    ::Repo* repo = ::repo_create(pool, index.suite.c_str());
    repo->appdata = reinterpret_cast<void*>(i + 1);
    const std::string cached =
        os::join(cache_dir, fmt::format("{}.solv{}", index.sha256.hex(), kCacheVersion));
    if (load_cached(repo, cached)) continue;
    ::repo_empty(repo, 1);
    std::string text = TRY(read_index(index));
    if (text.empty()) continue;  // Updates right after a release: a valid, empty index.
    const File file = memory_file(text);
    if (!file || ::repo_add_debpackages(repo, file.get(), 0) != 0)
      return Error(Code::corrupt, "cannot read the package index of '{}': {}", index.suite,
                   printable(text_of(::pool_errstr(pool))));
    TRY(add_sizes(repo, text), "index of '{}'", index.suite);
    save_cached(repo, cached);
  }
  ::pool_addfileprovides(pool);
  ::pool_createwhatprovides(pool);
  return {};
}

Error Solver::State::unknown(const std::string& name) const {
  std::vector<std::string> names;
  for (Id id = 2; id < pool->nsolvables; ++id)
    if (solvable(id)->repo != nullptr) names.push_back(name_of(id));
  const auto close = nearest(name, names);
  Error error(Code::not_found, "there is no Debian package '{}' in {}", printable(name),
              indexes.empty() ? "any suite" : indexes[0].suite);
  if (close) return std::move(error).hint(fmt::format("did you mean `{}`?", *close));
  return error;
}

Result<Id> Solver::State::job_for(const std::string& package) const {
  const size_t equals = package.find('=');
  const std::string name = package.substr(0, equals);
  const Id name_id = ::pool_str2id(pool, name.c_str(), 0);
  if (name_id == 0 || *::pool_whatprovides_ptr(pool, name_id) == 0) return unknown(name);
  if (equals == std::string::npos) return name_id;
  const Id version = ::pool_str2id(pool, package.c_str() + equals + 1, 1);
  const Id job = ::pool_rel2id(pool, name_id, version, REL_EQ, 1);
  if (*::pool_whatprovides_ptr(pool, job) != 0) return job;
  std::string have;
  for (Id* p = ::pool_whatprovides_ptr(pool, name_id); *p != 0; ++p)
    if (solvable(*p)->name == name_id) have += (have.empty() ? "" : ", ") + version_of(*p);
  return Error(Code::not_found, "package '{}' has no version '{}', only {}", name,
               printable(package.substr(equals + 1)), have);
}

Result<LockedDeb> Solver::State::locked(Id id) const {
  ::Solvable* package = solvable(id);
  const size_t index = reinterpret_cast<size_t>(package->repo->appdata) - 1;
  Id type = 0;
  const char* hash = ::solvable_lookup_checksum(package, SOLVABLE_CHECKSUM, &type);
  if (hash == nullptr || type != REPOKEY_TYPE_SHA256)
    return Error(Code::corrupt, "package '{}' has no SHA256 in the index of '{}'", name_of(id),
                 indexes[index].suite);
  const oci::Digest digest = TRY(oci::Digest::parse_hex(hash), "package '{}'", name_of(id));
  unsigned int media = 0;
  const std::string path = text_of(::solvable_lookup_location(package, &media));
  if (path.empty() || path.starts_with('/') || path.find("..") != std::string::npos)
    return Error(Code::corrupt, "package '{}' has the file name '{}' in the index of '{}'",
                 name_of(id), printable(path), indexes[index].suite);
  return LockedDeb{.name = name_of(id),
                   .version = version_of(id),
                   .architecture = ::pool_id2str(pool, package->arch),
                   .sha256 = digest,
                   .size_bytes = ::solvable_lookup_num(package, SOLVABLE_DOWNLOADSIZE, 0),
                   .path = path.starts_with("./") ? path.substr(2) : path,
                   .suite = indexes[index].suite};
}

Error Solver::State::explain(::Solver* solver, int count) const {
  std::string text;
  for (int problem = 1; problem <= std::min(count, kMaxProblems); ++problem) {
    if (!text.empty()) text += "; ";
    text += text_of(::solver_problem2str(solver, problem));
  }
  if (count > kMaxProblems) text += fmt::format("; and {} more", count - kMaxProblems);
  return Error(Code::invalid, "the Debian packages do not fit together: {}", printable(text, 2000));
}

Result<std::vector<Id>> Solver::State::run(const IdQueue& jobs, bool ordered) const {
  const SolverHandle solver(::solver_create(pool));
  ::solver_set_flag(solver.get(), SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
  ::Queue copy;
  ::queue_init_clone(&copy, const_cast<::Queue*>(&jobs.queue));
  const int problems = ::solver_solve(solver.get(), &copy);
  ::queue_free(&copy);
  if (problems != 0) return explain(solver.get(), problems);
  const TransactionHandle transaction(::solver_create_transaction(solver.get()));
  if (ordered) ::transaction_order(transaction.get(), 0);
  IdQueue installed;
  const int count = ::transaction_installedresult(transaction.get(), &installed.queue);
  static_cast<void>(count);
  if (!ordered) return installed.ids();
  const ::Queue& steps = transaction->steps;
  return std::vector<Id>(steps.elements, steps.elements + steps.count);
}

// For each "a | b" of a chosen package: favour the real packages named a, if one exists. Returns
// whether that was new. Explicit requests and conflicts still decide against it.
bool Solver::State::favor_first_alternatives(const std::vector<Id>& chosen,
                                             std::set<Id>& favored) const {
  bool grown = false;
  for (const Id id : chosen) {
    for (const Id key : {SOLVABLE_REQUIRES, SOLVABLE_RECOMMENDS}) {
      IdQueue dependencies;
      ::solvable_lookup_deparray(solvable(id), key, &dependencies.queue, 0);
      for (Id dependency : dependencies.ids()) {
        if (!ISRELDEP(dependency) || GETRELDEP(pool, dependency)->flags != REL_OR) continue;
        while (ISRELDEP(dependency) && GETRELDEP(pool, dependency)->flags == REL_OR) {
          const Id first = GETRELDEP(pool, dependency)->name;
          if (*::pool_whatprovides_ptr(pool, first) != 0) {
            grown = favored.insert(first).second || grown;
            break;
          }
          dependency = GETRELDEP(pool, dependency)->evr;
        }
      }
    }
  }
  return grown;
}

// Everything that the named packages lead to, through Depends and the Recommends taken so far.
std::set<Id> Solver::State::reachable(const std::vector<Id>& chosen,
                                      const std::vector<std::string>& roots,
                                      const std::set<Id>& weak) const {
  const std::set<Id> present(chosen.begin(), chosen.end());
  std::set<Id> reach;
  std::vector<Id> todo;
  for (const Id id : chosen)
    if (std::find(roots.begin(), roots.end(), name_of(id)) != roots.end()) todo.push_back(id);
  while (!todo.empty()) {
    const Id id = todo.back();
    todo.pop_back();
    if (!reach.insert(id).second) continue;
    for (const Id key : {SOLVABLE_REQUIRES, SOLVABLE_RECOMMENDS}) {
      IdQueue dependencies;
      ::solvable_lookup_deparray(solvable(id), key, &dependencies.queue, 0);
      for (const Id dependency : dependencies.ids()) {
        if (key == SOLVABLE_RECOMMENDS && !weak.contains(dependency)) continue;
        for (Id* p = ::pool_whatprovides_ptr(pool, dependency); *p != 0; ++p)
          if (present.contains(*p)) todo.push_back(*p);
      }
    }
  }
  return reach;
}

void Solver::State::add_recommends(const std::vector<Id>& chosen, const std::set<Id>& reach,
                                   std::set<Id>& weak) const {
  for (const Id id : chosen) {
    if (!reach.contains(id)) continue;
    IdQueue dependencies;
    ::solvable_lookup_deparray(solvable(id), SOLVABLE_RECOMMENDS, &dependencies.queue, 0);
    for (const Id dependency : dependencies.ids()) weak.insert(dependency);
  }
}

Solver::Solver(std::unique_ptr<State> state) : state_(std::move(state)) {}
Solver::Solver(Solver&&) noexcept = default;
Solver& Solver::operator=(Solver&&) noexcept = default;
Solver::~Solver() = default;

Result<Solver> Solver::open(const std::vector<PackagesIndex>& indexes,
                            const std::string& architecture, const std::string& cache_dir) {
  auto state = std::make_unique<State>();
  state->pool = ::pool_create();
  state->indexes = indexes;
  ::pool_setdisttype(state->pool, DISTTYPE_DEB);
  ::pool_setarchpolicy(state->pool, architecture.c_str());
  TRY(state->load(cache_dir));
  return Solver(std::move(state));
}

bool Solver::knows(const std::string& name) const {
  const Id id = ::pool_str2id(state_->pool, name.c_str(), 0);
  if (id == 0) return false;
  for (Id* p = ::pool_whatprovides_ptr(state_->pool, id); *p != 0; ++p)
    if (state_->solvable(*p)->name == id) return true;
  return false;
}

Result<std::vector<LockedDeb>> Solver::solve(const SolveRequest& request) {
  std::vector<Id> wanted;
  for (const std::string& package : request.packages) {
    const Id job = TRY(state_->job_for(package));
    wanted.push_back(job);
  }
  std::vector<std::string> roots;
  for (const std::string& package : request.with_recommends)
    roots.push_back(package.substr(0, package.find('=')));
  std::set<Id> favored;
  std::set<Id> weak;
  for (int round = 0;; ++round) {
    IdQueue jobs;
    for (const Id job : wanted) jobs.push(SOLVER_INSTALL | SOLVER_SOLVABLE_PROVIDES, job);
    for (const Id job : weak)
      jobs.push(SOLVER_INSTALL | SOLVER_SOLVABLE_PROVIDES | SOLVER_WEAK, job);
    for (const Id job : favored) jobs.push(SOLVER_FAVOR | SOLVER_SOLVABLE_NAME, job);
    for (const LockedDeb& old : request.keep) {
      const auto job = state_->job_for(old.name + "=" + old.version);
      if (job) jobs.push(SOLVER_FAVOR | SOLVER_SOLVABLE_NAME, *job);
    }
    const std::vector<Id> chosen = TRY(state_->run(jobs, false));
    const size_t weak_before = weak.size();
    bool grown = state_->favor_first_alternatives(chosen, favored);
    state_->add_recommends(chosen, state_->reachable(chosen, roots, weak), weak);
    grown = grown || weak.size() != weak_before;
    if (grown && round < kMaxRounds) continue;
    std::vector<LockedDeb> out;
    const std::vector<Id> ordered = TRY(state_->run(jobs, true));
    for (const Id id : ordered) {
      LockedDeb deb = TRY(state_->locked(id));
      out.push_back(std::move(deb));
    }
    return out;
  }
}

}  // namespace kist::debian
