// How inputs are read: from the project's folder, or from memory in tests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// Paths are relative to the project's folder, with '/', and may lead out of it ("../shared.txt")
/// or be absolute, as pip allows. Implementations: ProjectFolder, MemoryFiles.
class ProjectFiles {
 public:
  virtual ~ProjectFiles() = default;
  /// Whether it is a file (through links). Folders and what cannot be looked at are not.
  virtual bool is_file(const std::string& path) const = 0;
  virtual bool is_folder(const std::string& path) const = 0;
  /// Errors: not_found, denied, invalid (larger than 64 MB).
  virtual Result<std::string> read(const std::string& path) const = 0;
  /// The names in a folder, sorted; empty when there is none.
  virtual std::vector<std::string> list(const std::string& path) const = 0;
};

/// The real folder.
class ProjectFolder final : public ProjectFiles {
 public:
  explicit ProjectFolder(std::string folder) : folder_(std::move(folder)) {}
  bool is_file(const std::string& path) const override;
  bool is_folder(const std::string& path) const override;
  Result<std::string> read(const std::string& path) const override;
  std::vector<std::string> list(const std::string& path) const override;

 private:
  std::string resolve(const std::string& path) const;
  std::string folder_;
};

/// For tests, and for asking "what if this file said that".
class MemoryFiles final : public ProjectFiles {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  bool is_file(const std::string& path) const override;
  bool is_folder(const std::string& path) const override;
  Result<std::string> read(const std::string& path) const override;
  std::vector<std::string> list(const std::string& path) const override;

 private:
  std::map<std::string, std::string> files_;
};

/// "a/b/../c" gives "a/c", "./a" gives "a", "" gives "."; ".." that leads above stays. By text
/// alone: links are not looked at.
std::string normal_path(std::string_view path);
/// `path`, which was written in a file of `folder`, seen from where `folder` is seen from.
std::string path_from(std::string_view folder, std::string_view path);

}  // namespace kist::python
