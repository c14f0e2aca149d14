// The bundle of certificate authorities and its hash links, as update-ca-certificates makes them.
#pragma once

#include "debian/root_view.h"
#include "store/object_sink.h"

namespace kist::debian {

/// Adds /etc/ca-certificates.conf, /etc/ssl/certs/*.pem, the hash links and ca-certificates.crt to
/// the builder. Nothing when the tree has no /usr/share/ca-certificates. A file there that is no
/// certificate is left out. Errors: those of reading.
Result<void> add_certificates(const RootView& root, store::TreeBuilder& builder);

}  // namespace kist::debian
