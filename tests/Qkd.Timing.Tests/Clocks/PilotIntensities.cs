using Qkd.Devices;

namespace Qkd.Timing.Tests.Clocks;

/// <summary>Intensities of slots: the pilot's where there is one, elsewhere by chance, the same whenever asked.</summary>
internal sealed class PilotIntensities(int frameSlots, int pilotSlots)
{
    private readonly Dictionary<long, ulong[]> _pilots = [];

    public int Of(long slot)
    {
        var frame = Math.DivRem(slot, frameSlots, out var within);
        if (within >= pilotSlots)
        {
            var x = (ulong)slot * 0x9E3779B97F4A7C15;
            x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
            x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
            return (x >> 56) switch { < 128 => 0, < 208 => 1, _ => 2 };
        }

        lock (_pilots)
        {
            if (!_pilots.TryGetValue(frame, out var packed))
            {
                if (_pilots.Count > 10_000)
                {
                    _pilots.Clear();
                }

                Pilot.Fill(frame, 2, packed = new ulong[PackedSymbols.WordCount(pilotSlots)]);
                _pilots[frame] = packed;
            }

            return PackedSymbols.Read(packed, (int)within).Intensity;
        }
    }
}
