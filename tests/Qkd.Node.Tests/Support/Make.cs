using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Timing;

namespace Qkd.Node.Tests.Support;

/// <summary>What many tests need one of.</summary>
internal static class Make
{
    public const int FrameSlots = 1_000_000;

    public static NodeMonitor Monitor(TimeProvider time, AuditLog? audit = null) =>
        new("Bob", FrameSlots, time, audit ?? new AuditLog("", time), NullLogger.Instance);

    /// <summary>A frame with some detections and a pilot of sixteen counts.</summary>
    public static DetectionFrame Frame(long number, int detections = 0, long[]? pilot = null) => new()
    {
        Frame = number,
        Slots = Enumerable.Range(0, detections).ToArray(),
        Outcomes = new byte[detections],
        LostSlots = 0,
        Gate = default,
        Pilot = Pilot(pilot ?? new long[16], 0, 2048, 2048),
    };

    /// <summary>A pilot of four states that are all seen in their own basis, some of them wrongly.</summary>
    public static long[] PilotWithErrors(long right, long wrong)
    {
        var clicks = new long[16];
        for (var sent = 0; sent < 4; sent++)
        {
            clicks[(4 * sent) + sent] = right;
            clicks[(4 * sent) + (sent ^ 1)] = wrong;
        }

        return clicks;
    }

    public static BlockReport Block(long id, bool measured = true, long secretBits = 0) => new()
    {
        BlockId = id,
        FirstFrame = 100 * id,
        FrameCount = 100,
        KeyCounts = measured ? [8000, 1800, 200] : [],
        KeyErrors = measured ? [80, 18, 2] : [],
        TestCounts = measured ? [800, 180, 20] : [],
        TestErrors = measured ? [16, 3, 1] : [],
        SecretBits = secretBits,
        Epsilon = secretBits > 0 ? 1e-9 : 0,
    };

    /// <summary>The same secret key as often as it is asked for.</summary>
    public static SecretKey Secret(long blockId, byte[] bytes)
    {
        var bits = new BitString(8 * bytes.Length);
        bytes.CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(bits.Words));
        return new SecretKey(blockId, KeyGrade.Attested, 1e-10, bits);
    }

    // Only the receiver makes pilots elsewhere, and it has no door for tests.
    [UnsafeAccessor(UnsafeAccessorKind.Constructor)]
    private static extern PilotStatistics Pilot(long[] clicks, long vacuumClicks, long signalSlots, long vacuumSlots);
}
