using Qkd.Distillation;
using Qkd.Keys;

namespace Qkd.Web.Tests.Support;

/// <summary>A status with a different number everywhere.</summary>
internal static class Statuses
{
    public static KeyDeliveryStatus Of(string kme, string caller, string slave) => new()
    {
        SourceKmeId = kme,
        TargetKmeId = "kme-other",
        MasterSaeId = caller,
        SlaveSaeId = slave,
        KeySizeBits = 256,
        StoredKeyCount = 7_000_000_001,
        MaximumKeyCount = 8_000_000_002,
        MaximumKeysPerRequest = 128,
        MaximumKeySizeBits = 65536,
        MinimumKeySizeBits = 64,
        MaximumAdditionalSlaves = 4,
        Level = PoolLevel.Warning,
        Provenances = [new KeyProvenance(KeyGrade.Attested, Emulated: true)],
    };
}
