// Names of images, by docker's grammar: [registry[:port]/]repository[:tag][@digest].
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "oci/digest.h"

namespace kist::oci {

inline constexpr std::string_view kDefaultTag = "latest";

/// A name that was checked. A name without a registry has none here either: what it means for a
/// transfer is decided by who transfers, and what is only on this machine needs no registry.
struct Reference {
  std::string registry;    // "registry.example:5000"; empty: none was named.
  std::string repository;  // "team/tool"
  std::string tag;         // Empty: none was named.
  std::optional<Digest> digest;

  /// `default_registry`: names in it are kept without it, so that one image has one name; empty when
  /// there is none. Errors: invalid (says what is wrong, and where).
  static Result<Reference> parse(std::string_view text, std::string_view default_registry = "");

  /// "registry.example:5000/team/tool"
  std::string repository_name() const;
  /// repository_name() and the tag, `latest` if there is none: the name that the store keeps.
  std::string name() const;
  /// As it was written, with the tag and the digest that it has.
  std::string string() const;
  auto operator<=>(const Reference&) const = default;
};

/// Whether `text` may be the beginning of an id: hex digits, perhaps after "sha256:".
bool is_id_prefix(std::string_view text);

}  // namespace kist::oci
