namespace Qkd.Keys;

/// <summary>How a key store keeps key. Immutable; <see cref="Validate"/> is called when the store is opened.</summary>
public sealed record KeyStoreOptions
{
    /// <summary>Default size of a key in bits. A half of a block with less room than this counts as used up.</summary>
    public int KeySizeBits { get; init; } = 256;

    /// <summary>Most key material kept, in bits. What exceeds it is destroyed, the oldest block first.</summary>
    public long CapacityBits { get; init; } = 4_000_000_000;

    /// <summary>How long key is kept from the time its block was stored; then it is destroyed.</summary>
    public TimeSpan KeyLifetime { get; init; } = TimeSpan.FromDays(7);

    /// <summary>
    /// How long the ids of keys and blocks that have come to their end are remembered. A peer that was away for longer may find its
    /// question answered with "never heard of", which voids the key on its side: nothing worse.
    /// </summary>
    public TimeSpan TombstoneRetention { get; init; } = TimeSpan.FromDays(30);

    /// <summary>After this time without a word of a block from the peer, the block is settled for good: held by both, or by none.</summary>
    public TimeSpan ConfirmationTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>At or above so many deliverable bits the pool is <see cref="PoolLevel.Ready"/>.</summary>
    public long ReadyBits { get; init; } = 131_072;

    /// <summary>At or above so many deliverable bits, but below <see cref="ReadyBits"/>, the pool is at <see cref="PoolLevel.Warning"/>.</summary>
    public long WarningBits { get; init; } = 32_768;

    /// <summary>
    /// Bits that are never delivered to applications: what is left for the authentication of the classical channel when its own key
    /// runs low (<see cref="KeyManager.FeedAuthenticationAsync"/>).
    /// </summary>
    public long FloorBits { get; init; } = 4_096;

    /// <summary>Whether Laboratory key may be delivered to applications.</summary>
    public bool DeliverLaboratoryKey { get; init; }

    /// <summary>Checks the values.</summary>
    /// <exception cref="KeyStoreException">A value is out of range; the message names it.</exception>
    public void Validate()
    {
        Check(KeySizeBits is >= 8 and <= 1 << 20 && KeySizeBits % 8 == 0, nameof(KeySizeBits), KeySizeBits, "8 to 1048576, a multiple of 8");
        Check(CapacityBits >= 8192, nameof(CapacityBits), CapacityBits, "at least 8192");
        Check(KeyLifetime > TimeSpan.Zero, nameof(KeyLifetime), KeyLifetime, "above zero");
        Check(TombstoneRetention > TimeSpan.Zero, nameof(TombstoneRetention), TombstoneRetention, "above zero");
        Check(ConfirmationTimeout > TimeSpan.Zero, nameof(ConfirmationTimeout), ConfirmationTimeout, "above zero");
        Check(FloorBits >= 0, nameof(FloorBits), FloorBits, "at least 0");
        Check(WarningBits >= FloorBits, nameof(WarningBits), WarningBits, "at least FloorBits");
        Check(ReadyBits >= WarningBits, nameof(ReadyBits), ReadyBits, "at least WarningBits");
    }

    internal static void Check(bool holds, string name, object value, string allowed)
    {
        if (!holds)
        {
            throw new KeyStoreException(FormattableString.Invariant($"Keys:{name}: '{value}' is out of range; allowed: {allowed}."));
        }
    }
}

/// <summary>What a key management entity (KME) is called and what it grants. Immutable; validated by <see cref="KeyManager"/>.</summary>
public sealed record KeyManagerOptions
{
    /// <summary>Id of this KME, told in status answers.</summary>
    public required string KmeId { get; init; }

    /// <summary>Id of the peer's KME, told in status answers.</summary>
    public required string PeerKmeId { get; init; }

    /// <summary>Smallest key that is delivered, in bits.</summary>
    public int MinimumKeySizeBits { get; init; } = 64;

    /// <summary>Largest key that is delivered, in bits. A key never spans two blocks.</summary>
    public int MaximumKeySizeBits { get; init; } = 65_536;

    /// <summary>Most keys in one request.</summary>
    public int MaximumKeysPerRequest { get; init; } = 128;

    /// <summary>Most slaves of one key beside the one in the address of the request.</summary>
    public int MaximumAdditionalSlaves { get; init; } = 4;

    /// <summary>
    /// Most blocks in one question after a connection was made: many, since every question and every answer costs authentication key, and
    /// whoever cuts connections causes them.
    /// </summary>
    public int ClaimsAfterConnecting { get; init; } = 10_000;

    /// <summary>How long one question to the peer may take.</summary>
    public TimeSpan ExchangeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Checks the values.</summary>
    /// <exception cref="KeyStoreException">A value is out of range; the message names it.</exception>
    public void Validate()
    {
        KeyStoreOptions.Check(KmeId.Length is > 0 and <= 256, nameof(KmeId), KmeId, "1 to 256 characters");
        KeyStoreOptions.Check(PeerKmeId.Length is > 0 and <= 256, nameof(PeerKmeId), PeerKmeId, "1 to 256 characters");
        KeyStoreOptions.Check(MinimumKeySizeBits is >= 8 && MinimumKeySizeBits % 8 == 0, nameof(MinimumKeySizeBits), MinimumKeySizeBits, "at least 8, a multiple of 8");
        KeyStoreOptions.Check(MaximumKeySizeBits >= MinimumKeySizeBits && MaximumKeySizeBits % 8 == 0, nameof(MaximumKeySizeBits), MaximumKeySizeBits, "at least MinimumKeySizeBits, a multiple of 8");
        KeyStoreOptions.Check(MaximumKeysPerRequest is >= 1 and <= 1024, nameof(MaximumKeysPerRequest), MaximumKeysPerRequest, "1 to 1024");
        KeyStoreOptions.Check(MaximumAdditionalSlaves is >= 0 and <= 64, nameof(MaximumAdditionalSlaves), MaximumAdditionalSlaves, "0 to 64");
        KeyStoreOptions.Check(ClaimsAfterConnecting is >= 1 and <= 16_384, nameof(ClaimsAfterConnecting), ClaimsAfterConnecting, "1 to 16384");
        KeyStoreOptions.Check(ExchangeTimeout > TimeSpan.Zero, nameof(ExchangeTimeout), ExchangeTimeout, "above zero");
    }
}
