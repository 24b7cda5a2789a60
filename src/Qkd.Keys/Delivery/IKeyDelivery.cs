using System.Security.Cryptography;

namespace Qkd.Keys;

/// <summary>
/// Delivers key to secure application entities (SAEs) as ETSI GS QKD 014 V1.1.1 has it: the master asks one side for fresh key, its slaves
/// fetch the same key by its id from the other. Every key leaves each side at most once for each recipient.
/// </summary>
public interface IKeyDelivery
{
    /// <summary>What is there, and what may be asked.</summary>
    /// <param name="callerSaeId">The SAE that asks, as its certificate names it.</param>
    /// <param name="slaveSaeId">The SAE it wants to share key with.</param>
    KeyDeliveryStatus GetStatus(string callerSaeId, string slaveSaeId);

    /// <summary>Takes fresh key out of the pool. Either all keys of the request are delivered or none.</summary>
    /// <exception cref="KeyRequestException">The request cannot be met as it stands.</exception>
    /// <exception cref="PoolExhaustedException">Too little key.</exception>
    /// <exception cref="KeyPeerException">The peer's side cannot be reached.</exception>
    /// <exception cref="KeyRefusedException">There is only key that must not be delivered.</exception>
    ValueTask<IReadOnlyList<DeliveredKey>> GetKeysAsync(KeyRequest request, CancellationToken cancellationToken);

    /// <summary>Fetches keys by their ids. Either all are delivered or none.</summary>
    /// <param name="callerSaeId">The SAE that asks; it must have been named as a slave of each key.</param>
    /// <param name="masterSaeId">The SAE that the keys were first given to.</param>
    /// <param name="keyIds">The ids, without repetition.</param>
    /// <param name="cancellationToken">Ends the wait for the store.</param>
    /// <exception cref="KeyRequestException">One or more of the keys are not here (any more).</exception>
    /// <exception cref="KeyAccessException">The caller was not named as a slave of one of them.</exception>
    ValueTask<IReadOnlyList<DeliveredKey>> GetKeysByIdAsync(
        string callerSaeId, string masterSaeId, IReadOnlyList<Guid> keyIds, CancellationToken cancellationToken);
}

/// <summary>A request for fresh key.</summary>
public sealed record KeyRequest
{
    /// <summary>The SAE that asks, as its certificate names it.</summary>
    public required string MasterSaeId { get; init; }

    /// <summary>The SAE that will fetch the same key on the other side.</summary>
    public required string SlaveSaeId { get; init; }

    /// <summary>Further SAEs that may fetch it there, once each.</summary>
    public IReadOnlyList<string> AdditionalSlaveSaeIds { get; init; } = [];

    /// <summary>How many keys.</summary>
    public int Number { get; init; } = 1;

    /// <summary>Bits of each key; null for the default.</summary>
    public int? SizeBits { get; init; }

    /// <summary>If set, only Attested key will do.</summary>
    public bool AttestedOnly { get; init; }
}

/// <summary>What is there for a pair of SAEs, and what may be asked: the data of "Get status".</summary>
public sealed record KeyDeliveryStatus
{
    /// <summary>This key management entity.</summary>
    public required string SourceKmeId { get; init; }

    /// <summary>The slave's.</summary>
    public required string TargetKmeId { get; init; }

    /// <summary>The caller.</summary>
    public required string MasterSaeId { get; init; }

    /// <summary>The SAE on the other side.</summary>
    public required string SlaveSaeId { get; init; }

    /// <summary>Default size of a key in bits.</summary>
    public required int KeySizeBits { get; init; }

    /// <summary>Keys of the default size that can be delivered now.</summary>
    public required long StoredKeyCount { get; init; }

    /// <summary>Most keys of the default size that can be stored.</summary>
    public required long MaximumKeyCount { get; init; }

    /// <summary>Most keys in one request.</summary>
    public required int MaximumKeysPerRequest { get; init; }

    /// <summary>Largest key in bits.</summary>
    public required int MaximumKeySizeBits { get; init; }

    /// <summary>Smallest key in bits.</summary>
    public required int MinimumKeySizeBits { get; init; }

    /// <summary>Most additional slaves of a key.</summary>
    public required int MaximumAdditionalSlaves { get; init; }

    /// <summary>How full the pool is.</summary>
    public required PoolLevel Level { get; init; }

    /// <summary>The grades of deliverable key in the pool, and whether any of it is emulated.</summary>
    public required IReadOnlyList<KeyProvenance> Provenances { get; init; }
}

/// <summary>One key as it leaves the store. Erased on dispose; never printed.</summary>
public sealed class DeliveredKey : IDisposable
{
    internal DeliveredKey(Guid id, byte[] bytes, KeyProvenance provenance) => (Id, Bytes, Provenance) = (id, bytes, provenance);

    /// <summary>The id under which the other side holds the same key.</summary>
    public Guid Id { get; }

    /// <summary>The key.</summary>
    public byte[] Bytes { get; }

    /// <summary>What the key is fit for, and whether it comes from emulated instruments.</summary>
    public KeyProvenance Provenance { get; }

    /// <inheritdoc/>
    public void Dispose() => CryptographicOperations.ZeroMemory(Bytes);

    /// <inheritdoc/>
    public override string ToString() => $"key {Id} ({8 * Bytes.Length} bits, {Provenance.Grade})";
}
