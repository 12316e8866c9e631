# Compiles the policy's data in; its bytes are what policy_data() gives.
kesu_embed(kesu_policy ${CMAKE_CURRENT_SOURCE_DIR}/policy/data/policy.jsonl embedded_policy)
