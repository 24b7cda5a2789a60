using System.Text.Json;
using Qkd.Sim.Firmware;

namespace Qkd.Sim.Bench;

/// <summary>
/// The address book: tells clients, by the name behind <c>sim:</c>, where each emulated instrument listens. Clients wait for the file, so
/// it is whole whenever it is there, and it is there only while the instruments are.
/// </summary>
internal sealed class InstrumentsFile(string folder)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly string _path = Path.Combine(folder, "instruments.json");
    private byte[] _written = [];
    private string[] _addresses = [];

    /// <summary>Removes what an earlier bench may have left.</summary>
    public void RemoveStale()
    {
        Directory.CreateDirectory(folder);
        File.Delete(_path);
    }

    /// <summary>Writes all addresses at once, if any has changed: a terminal that was unplugged may come back under another name.</summary>
    public void Write(IReadOnlyList<IEmulatedInstrument> instruments)
    {
        if (_addresses.Length == instruments.Count && SameAddresses(instruments))
        {
            return;
        }

        var entries = instruments.ToDictionary(
            instrument => instrument.Name,
            instrument => new
            {
                driver = instrument.DriverId,
                address = instrument.Address,
                endpoints = instrument.Endpoints,
                options = instrument.Options,
            });
        var bytes = JsonSerializer.SerializeToUtf8Bytes(new { instruments = entries }, Indented);
        var temporary = $"{_path}.{Environment.ProcessId}.new";
        File.WriteAllBytes(temporary, bytes);
        File.Move(temporary, _path, overwrite: true);
        (_written, _addresses) = (bytes, [.. instruments.Select(instrument => instrument.Address)]);
    }

    /// <summary>Removes it, unless another bench has put its own in the place.</summary>
    public void Remove()
    {
        try
        {
            if (_written.Length > 0 && File.ReadAllBytes(_path).AsSpan().SequenceEqual(_written))
            {
                File.Delete(_path);
            }
        }
        catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException)
        {
            // Somebody has tidied up already.
        }
    }

    private bool SameAddresses(IReadOnlyList<IEmulatedInstrument> instruments)
    {
        for (var i = 0; i < _addresses.Length; i++)
        {
            if (_addresses[i] != instruments[i].Address)
            {
                return false;
            }
        }

        return true;
    }
}
