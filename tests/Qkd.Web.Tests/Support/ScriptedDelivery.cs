using System.Collections.Concurrent;
using Qkd.Distillation;
using Qkd.Keys;

namespace Qkd.Web.Tests.Support;

/// <summary>Keys that behave as a test says: by default every request is given one key.</summary>
internal sealed class ScriptedDelivery : IKeyDelivery
{
    /// <summary>What was asked, in order: <see cref="KeyRequest"/>s, and for the other two methods their arguments.</summary>
    public ConcurrentQueue<object> Asked { get; } = new();

    public Func<KeyRequest, Task<DeliveredKey>> OnGetKeys { get; set; } = _ => Task.FromResult(Key());

    public static DeliveredKey Key() => new(Guid.NewGuid(), [.. Enumerable.Repeat((byte)0x5A, 32)], new KeyProvenance(KeyGrade.Attested, Emulated: true));

    public KeyDeliveryStatus GetStatus(string callerSaeId, string slaveSaeId)
    {
        Asked.Enqueue((callerSaeId, slaveSaeId));
        return Statuses.Of("kme-alice", callerSaeId, slaveSaeId);
    }

    public async ValueTask<IReadOnlyList<DeliveredKey>> GetKeysAsync(KeyRequest request, CancellationToken cancellationToken)
    {
        Asked.Enqueue(request);
        return [await OnGetKeys(request)];
    }

    public ValueTask<IReadOnlyList<DeliveredKey>> GetKeysByIdAsync(
        string callerSaeId, string masterSaeId, IReadOnlyList<Guid> keyIds, CancellationToken cancellationToken)
    {
        Asked.Enqueue((callerSaeId, masterSaeId, string.Join(' ', keyIds)));
        return new([Key()]);
    }
}
