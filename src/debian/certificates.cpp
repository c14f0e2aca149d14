#include "debian/certificates.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <map>
#include <memory>

#include "os/files.h"

namespace kist::debian {
namespace {

constexpr std::string_view kFolder = "usr/share/ca-certificates";

// The name hash that OpenSSL looks certificates up by; empty when the text is no certificate.
std::optional<std::string> subject_hash(const std::string& pem) {
  const std::unique_ptr<BIO, int (*)(BIO*)> input(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), ::BIO_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(
      ::PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr), ::X509_free);
  if (!certificate) return std::nullopt;
  return fmt::format("{:08x}", ::X509_subject_name_hash(certificate.get()));
}

std::string pem_name(std::string_view file) {
  std::string name(os::name_of(file));
  name.resize(name.size() - 4);  // ".crt"
  for (char& c : name) {
    if (c == ' ' || c == ',') c = '_';
    if (c == '(' || c == ')') c = '=';
  }
  return name + ".pem";
}

void collect(const RootView& root, const std::string& folder, std::vector<std::string>& out) {
  for (const std::string& path : root.children(folder)) {
    const store::Entry* entry = root.find(path);
    if (entry == nullptr) continue;
    if (entry->kind == store::Kind::folder) collect(root, path, out);
    if (entry->kind == store::Kind::file && path.ends_with(".crt")) out.push_back(path);
  }
}

}  // namespace

Result<void> add_certificates(const RootView& root, store::TreeBuilder& builder) {
  std::vector<std::string> files;
  collect(root, std::string(kFolder), files);
  if (files.empty()) return {};
  std::sort(files.begin(), files.end());
  std::string list = "# Certificates that are trusted, below /usr/share/ca-certificates.\n";
  std::string bundle;
  std::map<std::string, int> used;  // Several certificates may share a subject hash.
  for (const std::string& file : files) {
    std::string pem = TRY(root.read(file));
    const auto hash = subject_hash(pem);
    if (!hash) continue;
    if (!pem.ends_with('\n')) pem += '\n';
    bundle += pem;
    list += file.substr(kFolder.size() + 1) + "\n";
    const std::string name = pem_name(file);
    builder.symlink("etc/ssl/certs/" + name, fmt::format("/{}", file));
    builder.symlink(fmt::format("etc/ssl/certs/{}.{}", *hash, used[*hash]++), name);
  }
  TRY(builder.file("etc/ca-certificates.conf", 0644, list));
  TRY(builder.file("etc/ssl/certs/ca-certificates.crt", 0644, bundle));
  return {};
}

}  // namespace kist::debian
