# The tables that writer and reader share, compiled in; never read from a bundle.
kesu_embed(kesu_certificate ${CMAKE_SOURCE_DIR}/docs/spec/claims.json embedded_claims)
kesu_embed(kesu_certificate ${CMAKE_SOURCE_DIR}/docs/spec/profiles.json embedded_profiles)
kesu_embed(kesu_certificate ${CMAKE_SOURCE_DIR}/docs/spec/providers.json embedded_providers)
