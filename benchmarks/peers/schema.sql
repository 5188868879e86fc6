-- The peers' database: what jobs V and R read, with the indexes they want.
CREATE TABLE licences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_hash bytea NOT NULL UNIQUE, -- SHA-256 of the key
    product text NOT NULL,
    plan text NOT NULL,
    status text NOT NULL,
    expires_at timestamptz NOT NULL,
    max_machines int NOT NULL,
    features text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE machines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    licence_id bigint NOT NULL REFERENCES licences (id) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    last_seen timestamptz NOT NULL DEFAULT now(),
    UNIQUE (licence_id, fingerprint)
);
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    display_name text NOT NULL,
    role text NOT NULL,
    plan text NOT NULL,
    is_active bool NOT NULL DEFAULT true,
    email_verified bool NOT NULL,
    created_at timestamptz NOT NULL,
    last_login_at timestamptz NOT NULL
);
CREATE TABLE revoked_tokens (
    jti uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
