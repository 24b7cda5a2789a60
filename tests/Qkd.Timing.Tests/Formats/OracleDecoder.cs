using System.Globalization;

namespace Qkd.Timing.Tests.Formats;

/// <summary>An event as the oracle sees it: ticks or syncs, delay, and what fired, in words.</summary>
internal sealed record OracleEvent(decimal Time, decimal Delay, string What);

/// <summary>
/// A second decoder of PicoQuant's records, written from the table of record types alone and as plainly as can be: a string of bits for each record, decimal numbers. It
/// shares nothing with the one under test.
/// </summary>
internal sealed class OracleDecoder(string code)
{
    private decimal _syncs;

    public int Overflows { get; private set; }

    public List<OracleEvent> Decode(IEnumerable<uint> records)
    {
        var events = new List<OracleEvent>();
        foreach (var record in records)
        {
            var bits = Convert.ToString(record, 2).PadLeft(32, '0');
            switch (code)
            {
                case "00010203":
                    PicoHarpT2(bits, events);
                    break;
                case "00010303":
                    PicoHarpT3(bits, events);
                    break;
                default:
                    Others(bits, events);
                    break;
            }
        }

        return events;
    }

    private static int Number(string bits) => Convert.ToInt32(bits, 2);

    private void PicoHarpT2(string bits, List<OracleEvent> events)
    {
        var (channel, time) = (Number(bits[..4]), Number(bits[4..]));
        if (channel != 15)
        {
            events.Add(new(_syncs + time, 0, $"input {channel + 1}"));
        }
        else if (bits.EndsWith("0000", StringComparison.Ordinal))
        {
            Overflows++;
            _syncs += 210698240m;
        }
        else
        {
            events.Add(new(_syncs + time, 0, $"marker {Number(bits[28..])}"));
        }
    }

    private void PicoHarpT3(string bits, List<OracleEvent> events)
    {
        var (channel, delay, sync) = (Number(bits[..4]), Number(bits[4..16]), Number(bits[16..]));
        if (channel != 15)
        {
            events.Add(new(_syncs + sync, delay, $"input {channel}"));
        }
        else if (delay == 0)
        {
            Overflows++;
            _syncs += 65536m;
        }
        else
        {
            events.Add(new(_syncs + sync, 0, $"marker {delay}"));
        }
    }

    private void Others(string bits, List<OracleEvent> events)
    {
        var isT3 = code[5] == '3';
        var isFirstVersion = code is "00010204" or "00010304";
        var wrap = isT3 ? 1024m : isFirstVersion ? 33552000m : 33554432m;
        var channel = Number(bits[1..7]);
        var (delay, time) = isT3 ? (Number(bits[7..22]), Number(bits[22..])) : (0, Number(bits[7..]));
        if (bits[0] == '0')
        {
            events.Add(new(_syncs + time, delay, $"input {channel + 1}"));
        }
        else if (channel == 63)
        {
            Overflows++;
            _syncs += wrap * (isFirstVersion || time == 0 ? 1 : time);
        }
        else if (channel == 0)
        {
            events.Add(new(_syncs + time, 0, "sync"));
        }
        else
        {
            events.Add(new(_syncs + time, 0, $"marker {channel}"));
        }
    }

    /// <summary>An event of the reader under test, in the oracle's words.</summary>
    public static OracleEvent Of(long time, byte channel, uint delay) => new(time, delay, channel switch
    {
        TagBuffer.SyncChannel => "sync",
        >= TagBuffer.MarkerFlag => $"marker {channel & 15}",
        _ => string.Create(CultureInfo.InvariantCulture, $"input {channel}"),
    });
}
